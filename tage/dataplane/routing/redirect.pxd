cimport cython

from tage.dataplane.protocols.message cimport RequestHead
from tage.dataplane.routing.regex cimport RegexRewrite

@cython.final
cdef class Redirect:
    cdef readonly int status
    cdef readonly bytes scheme
    cdef readonly bytes host
    cdef readonly bytes port
    cdef readonly bytes path
    cdef readonly bytes prefix
    cdef readonly RegexRewrite regex
    cdef readonly bint strip_query
    cdef bytes _host(self, RequestHead head, bytes scheme)
