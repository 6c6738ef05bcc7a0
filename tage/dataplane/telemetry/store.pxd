cimport cython

@cython.final
cdef class StatStore:
    cdef public object path
    cdef object _file
    cdef object _map
    cdef object _known
    cdef object _overflow
    cdef public Py_ssize_t names_end
    cdef public Py_ssize_t cells_end
    cdef unsigned long long[::1] cells

@cython.final
cdef class StatGroup:
    cdef StatStore store
    cdef unsigned long long[::1] cells
    cdef public str scope
    cdef public str owner
    cdef Py_ssize_t first
    cdef Py_ssize_t histogram
    cdef public object layout
    cdef dict _codes
    cdef int _last_status
    cdef int _last_grpc
    cdef str _last_flags
    cdef Py_ssize_t _last_cell
    cdef void add(self, Py_ssize_t offset, unsigned long long n) noexcept
    cdef void up(self, Py_ssize_t offset) noexcept
    cdef void up_class(self, Py_ssize_t offset, int status) noexcept
    cdef void down(self, Py_ssize_t offset) noexcept
    cdef void put(self, Py_ssize_t offset, unsigned long long value) noexcept
    cdef void record(self, long long us) noexcept
    cdef count_code(self, int status, str flags)
    cdef count_grpc(self, int status, int grpc, str flags)

cdef Py_ssize_t bucket_of(long long us) noexcept
