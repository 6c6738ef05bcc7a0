cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.http1.encoder cimport HeaderEdits
from tage.dataplane.protocols.message cimport RequestHead, ResponseHead
from tage.dataplane.telemetry.access_log.record cimport Record

@cython.final
cdef class StreamRecord(Record):
    cdef RequestHead head
    cdef HeaderEdits edits
    cdef ResponseHead answer

cdef bytes line_value(bytes lines, bytes name)
