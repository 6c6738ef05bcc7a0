from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.xprotocol.message cimport RpcRequest, RpcResponse
from tage.dataplane.protocols.xprotocol.protocol cimport Protocol
from tage.dataplane.protocols.xprotocol.shape cimport Shape

cpdef bytes edited_frame(object head, HeaderEdits edits)
cdef bytes _renamed(RpcRequest head, HeaderEdits edits)
