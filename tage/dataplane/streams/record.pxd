cimport cython

from tage.dataplane.protocols.edits cimport HeaderEdits, line_value
from tage.dataplane.protocols.message cimport RequestHead, ResponseHead
from tage.dataplane.telemetry.access_log.record cimport Record

@cython.final
cdef class StreamRecord(Record):
    cdef RequestHead head
    cdef HeaderEdits edits
    cdef ResponseHead answer
