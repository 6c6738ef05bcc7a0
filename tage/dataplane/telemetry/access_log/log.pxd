from tage.dataplane.telemetry.access_log.file cimport LogFile
from tage.dataplane.telemetry.access_log.format cimport Format
from tage.dataplane.telemetry.access_log.record cimport Record

cdef class AccessLog:
    cdef readonly Format format
    cdef readonly LogFile file
    cpdef write(self, Record record)
