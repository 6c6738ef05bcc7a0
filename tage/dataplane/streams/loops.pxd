from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.message cimport MAX_FORWARDS, TAGE_HOPS, HeaderBlock, RequestHead

cdef enum:
    MALFORMED = -2
    UNLIMITED = -1
    MAX_HOPS = 10

cdef long long forwards_left(RequestHead head)
cdef limit_forwards(HeaderEdits edits, long long left)
cdef long long hops_made(RequestHead head)
cdef count_hop(HeaderEdits edits, RequestHead head)
