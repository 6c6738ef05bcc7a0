cimport cython

from tage.dataplane.protocols.xprotocol.hessian cimport HessianReader

@cython.final
cdef class StringMap:
    cdef readonly dict strings
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t end
    cdef bytes _data
    cdef list _entries
    cdef bytes _opening
    cdef _entry(self, HessianReader reader)
