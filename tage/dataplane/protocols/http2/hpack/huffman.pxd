from tage.dataplane.protocols.writer cimport ByteWriter

cdef bytes _NEXT
cdef bytes _SYMBOL
cdef bytes _FLAGS
cpdef bint decode(bytes source, Py_ssize_t start, Py_ssize_t size, ByteWriter out) except -1
