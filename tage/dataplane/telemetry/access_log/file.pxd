cdef class LogFile:
    cdef readonly str path
    cdef readonly long long dropped
    cdef readonly long long failures
    cdef object _call_later
    cdef object _count
    cdef object _due
    cdef object _writer
    cdef list _lines
    cdef Py_ssize_t _size
    cdef long long _handed
    cdef bint _armed
    cpdef write(self, bytes line)
    cpdef flush(self)
