from tage.dataplane.native cimport Random
from tage.dataplane.protocols.http1.encoder cimport HeaderEdits
from tage.dataplane.protocols.message cimport (
    FORWARDED_FOR, FORWARDED_PROTO, REQUEST_ID,
    HeaderBlock, RequestHead,
)
from tage.dataplane.protocols.writer cimport ByteWriter
from tage.dataplane.streams.context cimport ListenerState

cdef put_uuid(ByteWriter out, Random random)
cdef HeaderEdits request_edits(ListenerState listener, RequestHead head, bytes peer)
