from tage.dataplane.telemetry.access_log.operators cimport Operator
from tage.dataplane.telemetry.access_log.record cimport Record

cdef class Format:
    cpdef bytes render(self, Record record)

cdef class TextFormat(Format):
    cdef list _parts
    cdef bytes _missing

cdef class JsonFormat(Format):
    cdef object _template
    cdef bint _omit_empty

cdef class _Text:
    cdef list _parts
    cdef str _missing
    cdef str value(self, Record record)

cdef bytes shown(object value, bytes missing)
cdef bytes escaped(bytes value)
