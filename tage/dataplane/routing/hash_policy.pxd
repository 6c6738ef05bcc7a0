cimport cython

from tage.dataplane cimport native
from tage.dataplane.native cimport Random
from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.message cimport HeaderBlock, RequestHead
from tage.dataplane.routing.hashing cimport xxh64
from tage.dataplane.routing.matcher cimport first_value, query_value
from tage.dataplane.routing.regex cimport RegexRewrite

cpdef enum HashKind:
    HEADER = 0
    COOKIE = 1
    SOURCE_IP = 2
    QUERY_PARAMETER = 3

@cython.final
cdef class HashPolicy:
    cdef readonly int kind
    cdef readonly bytes name
    cdef readonly bint terminal
    cdef readonly RegexRewrite rewrite
    cdef readonly bytes attributes
    cdef list _headers(self, RequestHead head, HeaderEdits edits)

@cython.final
cdef class HashPolicies:
    cdef readonly list policies
    cdef public bytes cookie
    cpdef unsigned long long key(self, RequestHead head, HeaderEdits edits, bytes source, Random random)
    cdef list _texts(self, HashPolicy policy, RequestHead head, HeaderEdits edits, bytes source, Random random)

cdef list _values(HeaderBlock block, bytes name)
cpdef bytes cookie_value(list lines, bytes name)
