from tage.dataplane cimport native
from tage.dataplane.protocols.edits cimport HeaderEdits, write_headers
from tage.dataplane.protocols.message cimport CONTENT_LENGTH, HOP_BY_HOP, HOST, RequestHead, ResponseHead
from tage.dataplane.protocols.http1.request cimport Http1RequestHead
from tage.dataplane.protocols.http1.response cimport Http1ResponseHead
from tage.dataplane.protocols.writer cimport ByteWriter

cpdef write_request(ByteWriter out, RequestHead head, HeaderEdits edits, bint chunked)
cpdef write_response(ByteWriter out, ResponseHead head, HeaderEdits edits, bint chunked, bint close, bint keep_alive_10)
cpdef write_chunk(ByteWriter out, bytes data)
cpdef write_last_chunk(ByteWriter out, bytes trailers)
