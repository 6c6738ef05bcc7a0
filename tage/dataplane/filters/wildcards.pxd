cimport cython

from tage.dataplane.filters.token_bucket cimport TokenBucket
from tage.dataplane.routing.hashing cimport xxh64
from tage.dataplane.upstream.cells cimport Cells

@cython.final
cdef class Wildcard:
    cdef readonly tuple entries
    cdef TokenBucket _like
    cdef list _sets
    cpdef bint matches(self, tuple key) except -1
    cpdef TokenBucket bucket(self, tuple key)
    cdef Py_ssize_t _way(self, Cells cells, unsigned long long tag) noexcept
