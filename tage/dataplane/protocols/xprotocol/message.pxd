cimport cython

from tage.dataplane.protocols.edits cimport HeaderEdits, _fill, write_headers
from tage.dataplane.protocols.message cimport PLAIN, HeaderBlock, RequestHead, ResponseHead
from tage.dataplane.protocols.writer cimport ByteWriter
from tage.dataplane.protocols.xprotocol.pairs cimport put_line
from tage.dataplane.protocols.xprotocol.protocol cimport Protocol
from tage.dataplane.protocols.xprotocol.reader cimport FrameReader
from tage.dataplane.protocols.xprotocol.shape cimport ONE_WAY, Shape

@cython.final
cdef class RpcRequest(RequestHead):
    cdef readonly bytes frame
    cdef readonly Shape shape
    cdef readonly Protocol protocol
    cdef readonly unsigned long long id
    cdef readonly int kind
    cdef readonly long long size
    cdef bint _completed
    cpdef bint names(self) except -1
    cpdef complete(self)
    cpdef RequestHead edited(self, object edits, ByteWriter out)

@cython.final
cdef class RpcResponse(ResponseHead):
    cdef readonly bytes frame
    cdef readonly Shape shape
    cdef readonly Protocol protocol
    cdef readonly unsigned long long id
    cdef readonly int kind
    cdef readonly long long size
    cdef readonly bint malformed
    cdef bint _completed
    cdef HeaderBlock _own
    cpdef load(self, Protocol protocol, FrameReader reader)
    cpdef complete(self)
    cpdef ResponseHead copied(self, ByteWriter out)

cdef HeaderBlock _EMPTY
cdef ByteWriter _OUT
cpdef RpcRequest new_request(Protocol protocol, FrameReader reader)
cdef bint _read(HeaderBlock block, Protocol protocol, bytes frame, Shape shape, long long status) except -1
cdef _all_plain(HeaderBlock block)
