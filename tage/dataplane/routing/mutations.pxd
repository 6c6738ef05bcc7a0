cimport cython

from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.message cimport HeaderBlock
from tage.dataplane.telemetry.access_log.operators cimport Operator
from tage.dataplane.telemetry.access_log.record cimport Record

cpdef enum Append:
    APPEND = 0
    ADD_IF_ABSENT = 1
    OVERWRITE = 2
    OVERWRITE_OR_ADD = 3

@cython.final
cdef class HeaderMutation:
    cdef readonly bytes name
    cdef readonly int action
    cdef readonly bint keep_empty
    cdef bytes _line
    cdef bytes _constant
    cdef list _parts
    cpdef bytes line(self, Record record)

@cython.final
cdef class MutationSet:
    cdef readonly list mutations
    cdef readonly list removed
    cdef list _names
    cdef bytes _lines
    cdef _prepare(self)
    cdef _apply(self, HeaderEdits edits, HeaderBlock block, Record record)

@cython.final
cdef class HeaderMutations:
    cdef readonly list sets
    cdef readonly bint constant
    cpdef apply(self, HeaderEdits edits, HeaderBlock block, Record record)

cdef bytes _clean(bytes value)
