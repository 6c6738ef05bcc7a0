cimport cython

from tage.dataplane.protocols.message cimport RequestHead, same
from tage.dataplane.routing.matcher cimport EXACT, PREFIX, REGEX, SEPARATED_PREFIX
from tage.dataplane.routing.route cimport Route

@cython.final
cdef class PathIndex:
    cdef list _routes
    cdef dict _chains
    cdef list _keys
    cdef Py_ssize_t _slots
    cdef Py_ssize_t _longest
    cdef unsigned long long[::1] _hashes
    cdef int[::1] _key_of
    cdef unsigned char[::1] _ends
    cdef int[::1] _begin
    cdef int[::1] _order
    cdef _insert(self, Py_ssize_t number)
    cpdef Route match(self, RequestHead head)
    cdef Py_ssize_t _chain(self, RequestHead head, Py_ssize_t key, Py_ssize_t best) except -1

cdef unsigned long long _step(unsigned long long value, int byte) noexcept
