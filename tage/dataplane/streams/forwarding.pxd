from tage.dataplane.native cimport Random
from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.message cimport (
    CLIENT_CERT, CONTENT_LENGTH, FORWARDED_FOR, FORWARDED_PROTO, REQUEST_ID,
    HeaderBlock, RequestHead,
)
from tage.dataplane.protocols.writer cimport ByteWriter
from tage.dataplane.routing.route cimport ClusterShare, Route
from tage.dataplane.streams.context cimport ListenerState
from tage.dataplane.telemetry.access_log.record cimport Record

cdef put_uuid(ByteWriter out, Random random)
cpdef HeaderEdits request_edits(ListenerState listener, RequestHead head, bytes peer)
cdef bint edits_need_record(Route route, ClusterShare share) noexcept
cpdef route_edits(HeaderEdits edits, RequestHead head, Route route, ClusterShare share, Record record)
cpdef bint settle_upgrade(ListenerState listener, Route route, RequestHead head)
cdef bint _enabled(ListenerState listener, Route route, bytes protocol)
cpdef ask_upgrade(HeaderEdits edits, RequestHead head)
