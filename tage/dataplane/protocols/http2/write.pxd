cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.http2.hpack.encoder cimport HpackEncoder
from tage.dataplane.protocols.message cimport (
    CONNECTION, CONTENT_LENGTH, HOP_BY_HOP, HOST, KEEP_ALIVE, PROXY_CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    HeaderBlock, RequestHead, ResponseHead, kind_of, same,
)
from tage.dataplane.protocols.writer cimport ByteWriter

cpdef write_request(HpackEncoder hpack, ByteWriter out, RequestHead head, HeaderEdits edits)
cpdef write_response(HpackEncoder hpack, ByteWriter out, ResponseHead head, HeaderEdits edits)
cpdef write_local(HpackEncoder hpack, ByteWriter out, int status, bytes lines)
cpdef write_trailers(HpackEncoder hpack, ByteWriter out, bytes lines)
cdef bint _asks_for_trailers(HeaderBlock block)
cdef _put_method(HpackEncoder hpack, ByteWriter out, bytes method)
