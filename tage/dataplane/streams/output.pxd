cimport cython

from tage.dataplane.net.connection cimport Connection
from tage.dataplane.net.flushes cimport Flushes
from tage.dataplane.protocols.writer cimport ByteWriter
from tage.dataplane.telemetry.store cimport StatGroup

@cython.final
cdef class Output:
    cdef Connection connection
    cdef Flushes flushes
    cdef StatGroup stats
    cdef Py_ssize_t counter
    cdef ByteWriter writer
    cdef list pieces
    cdef bint _put_off
    cdef queue(self)
    cdef flush(self)
    cdef _write(self)
