cimport cython

from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.message cimport RequestHead, ResponseHead
from tage.dataplane.protocols.writer cimport ByteWriter
from tage.dataplane.protocols.xprotocol.edits cimport edited_frame
from tage.dataplane.protocols.xprotocol.message cimport RpcRequest, RpcResponse
from tage.dataplane.protocols.xprotocol.protocol cimport Protocol
from tage.dataplane.protocols.xprotocol.reader cimport BEGUN, DATA, MORE, READY, FrameReader
from tage.dataplane.protocols.xprotocol.settings cimport ORDERED, PING_PONG, UpstreamSettings
from tage.dataplane.protocols.xprotocol.shape cimport GO_AWAY, HEARTBEAT, ONE_WAY, REQUEST, RESPONSE, Shape, put_frame
from tage.dataplane.streams.context cimport Context
from tage.dataplane.streams.downstream cimport DownstreamConnection
from tage.dataplane.streams.rpc_calls cimport Calls
from tage.dataplane.streams.shared_upstream cimport SharedUpstreamConnection
from tage.dataplane.upstream.connection cimport PROTOCOL_ERROR, TERMINATED, Receiver
from tage.dataplane.upstream.host cimport Host

@cython.final
cdef class RpcUpstreamConnection(SharedUpstreamConnection):
    cdef UpstreamSettings settings
    cdef Protocol codec
    cdef FrameReader reader
    cdef readonly Calls calls
    cdef RpcResponse _answer
    cdef ByteWriter _out
    cdef bint _sending
    cdef Receiver _one_way
    cdef Receiver _incoming
    cdef bint _streaming
    cdef DownstreamConnection _bound_to
    cdef bint _relays(self) except -1
    cdef _sent_one_way(self)
    cdef int _read(self) except -1
    cdef _reject(self, Receiver receiver, str reason)
    cdef _raised(self, object error)
    cdef str _blamed(self, object error)
    cdef _frame(self)
    cdef _answered(self, Receiver receiver)
    cdef bint _loaded(self, Receiver receiver) except -1
    cdef _begun(self)
    cdef _more(self)
    cdef _respond(self, int kind)
