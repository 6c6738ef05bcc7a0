cimport cython

from tage.dataplane.protocols.xprotocol.hessian_text cimport chunks_end, string_end, string_text, units_end

cpdef enum Dialect:
    DRAFT = 0
    FINAL = 1

@cython.final
cdef class HessianReader:
    cdef readonly bytes data
    cdef readonly Py_ssize_t at
    cdef readonly str error
    cdef Py_ssize_t _end
    cdef bint _final
    cdef Py_ssize_t _classes
    cdef Py_ssize_t _index
    cdef long long _stack[4096]  # MAX_DEPTH
    cdef long long _fields[1024]  # MAX_CLASSES
    cdef Py_ssize_t _names[1024]
    cpdef open(self, bytes data, Py_ssize_t start, Py_ssize_t end, int dialect)
    cpdef bint skip(self) noexcept
    cpdef bint skip_string(self) noexcept
    cpdef bytes text(self)
    cpdef bint null(self) noexcept
    cpdef long long number(self) noexcept
    cpdef bint enter_map(self) noexcept
    cpdef bint leave(self) noexcept
    cpdef bytes field(self, bytes data, Py_ssize_t start, Py_ssize_t end, bytes name)
    cdef bytes _entry(self, bytes name)
    cdef bytes _field(self, bytes name)
    cdef bint _object(self) noexcept
    cdef bint _walk(self) noexcept
    cdef long long _begin(self, int tag, int what) noexcept
    cdef long long _begin_draft(self, int what) noexcept
    cdef bint _class(self) noexcept
    cdef bint _type(self) noexcept
    cdef long long _int(self) noexcept
    cdef bint _fail(self, str why) noexcept
    cdef long long _failed(self, str why) noexcept
