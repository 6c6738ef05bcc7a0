from tage.dataplane.filters.filter cimport Exchange
from tage.dataplane.net.timers cimport TimerWheel
from tage.dataplane.protocols.edits cimport HeaderEdits, edited_request
from tage.dataplane.protocols.message cimport HeaderBlock, RequestHead, ResponseHead
from tage.dataplane.protocols.writer cimport ByteWriter

cdef class OfflineExchange(Exchange):
    cdef public TimerWheel wheel
    cdef public object find_route
    cdef public object cluster
    cdef readonly tuple replied
    cdef readonly bint went_on
    cdef readonly bint answer_went_on
