cimport cython

from tage.dataplane.protocols.edits cimport HeaderEdits, line_value
from tage.dataplane.protocols.message cimport RequestHead, ResponseHead
from tage.dataplane.telemetry.access_log.record cimport Record

@cython.final
cdef class StreamRecord(Record):
    cdef public RequestHead head
    cdef public HeaderEdits edits
    cdef ResponseHead answer
    cdef bytes trailers
