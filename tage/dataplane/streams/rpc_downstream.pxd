cimport cython

from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.message cimport RequestHead, ResponseHead
from tage.dataplane.protocols.writer cimport ByteWriter
from tage.dataplane.protocols.xprotocol.edits cimport edited_frame
from tage.dataplane.protocols.xprotocol.message cimport RpcRequest, RpcResponse, new_request
from tage.dataplane.protocols.xprotocol.protocol cimport Protocol
from tage.dataplane.protocols.xprotocol.reader cimport BEGUN, DATA, MORE, READY, FrameReader
from tage.dataplane.protocols.xprotocol.settings cimport DownstreamSettings
from tage.dataplane.protocols.xprotocol.shape cimport GO_AWAY, HEARTBEAT, ONE_WAY, REQUEST, RESPONSE, Shape, put_frame
from tage.dataplane.streams.context cimport ListenerState
from tage.dataplane.streams.downstream cimport Binding
from tage.dataplane.streams.rpc_answers cimport Answers
from tage.dataplane.streams.rpc_calls cimport Relays
from tage.dataplane.streams.shared_downstream cimport SharedDownstreamConnection
from tage.dataplane.streams.stream cimport Stream
from tage.dataplane.upstream.connection cimport UpstreamConnection

@cython.final
cdef class RpcDownstreamConnection(SharedDownstreamConnection):
    cdef DownstreamSettings settings
    cdef Protocol codec
    cdef FrameReader reader
    cdef set streams
    cdef Stream large
    cdef Answers _answers
    cdef ByteWriter _out
    cdef bint _reading
    cdef bint _held
    cdef long long _partial_since
    cdef dict _bindings
    cdef Relays _relays
    cdef _unbind(self)
    cdef _answer_relay(self)
    cdef _go_on(self)
    cdef _advance(self)
    cdef _frame(self)
    cdef _begun(self)
    cdef _more(self)
    cdef _request(self, bint whole)
    cdef _refuse(self, RpcRequest head)
    cdef _malformed(self)
    cdef _raised(self, object error)
    cdef _watch_partial(self)
    cdef bytes _piece(self, RpcResponse answer, bytes frame, unsigned long long number, bytes data)
    cdef _say(self, bytes frame)
