cimport cython

from tage.dataplane.protocols.http2.hpack.field cimport Field

@cython.final
cdef class FieldTable:
    cdef list _ring
    cdef Py_ssize_t _mask
    cdef readonly Py_ssize_t count
    cdef readonly Py_ssize_t size
    cdef readonly Py_ssize_t limit
    cdef readonly long long inserted
    cdef Field at(self, Py_ssize_t age)
    cdef Field numbered(self, long long number)
    cdef bint insert(self, Field field) except -1
    cdef resize(self, Py_ssize_t limit)
    cdef _evict(self)
    cdef _grow(self)
