from tage.dataplane.protocols.message cimport same
from tage.dataplane.protocols.http2.hpack.field cimport Field, new_field

cdef list STATIC
cdef bytearray _SLOTS
cdef int static_name(unsigned int name_hash, const unsigned char* p, Py_ssize_t start, Py_ssize_t size) noexcept
