cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.http2.hpack.field cimport NEVER_INDEXED, Field, bare_field, hash_name, hash_value
from tage.dataplane.protocols.http2.hpack.static cimport STATIC, static_name
from tage.dataplane.protocols.http2.hpack.table cimport FieldTable
from tage.dataplane.protocols.message cimport HeaderBlock, same
from tage.dataplane.protocols.writer cimport ByteWriter

@cython.final
cdef class HpackEncoder:
    cdef readonly FieldTable table
    cdef Py_ssize_t _most
    cdef Py_ssize_t _smallest
    cdef bint _resized
    cdef unsigned int _recent[128]
    cdef long long _buckets[64]
    cdef long long _names[64]
    cpdef resize(self, Py_ssize_t limit)
    cpdef begin(self, ByteWriter out)
    cpdef put_field(self, ByteWriter out, bytes name, bytes value)
    cpdef put_block(self, ByteWriter out, HeaderBlock block, unsigned int drop, list names)
    cpdef put_lines(self, ByteWriter out, bytes lines)
    cpdef put_status(self, ByteWriter out, int status)
    cdef put_index(self, ByteWriter out, int index)
    cdef put_named(self, ByteWriter out, int index, bytes value)
    cdef _put(self, ByteWriter out, const unsigned char* p, Py_ssize_t start, Py_ssize_t size, const unsigned char* q, Py_ssize_t value, Py_ssize_t value_size, unsigned int mark)
    cdef long long _find(self, unsigned int hash, const unsigned char* p, Py_ssize_t start, Py_ssize_t size, const unsigned char* q, Py_ssize_t value, Py_ssize_t value_size) noexcept
    cdef long long _find_name(self, unsigned int hash, const unsigned char* p, Py_ssize_t start, Py_ssize_t size) noexcept
    cdef bint _again(self, unsigned int hash) noexcept
    cdef _insert(self, const unsigned char* p, Py_ssize_t start, Py_ssize_t size, const unsigned char* q, Py_ssize_t value, Py_ssize_t value_size, unsigned int name_hash, unsigned int hash)

cdef void _put_integer(ByteWriter out, unsigned int first, unsigned int mask, unsigned long long value) noexcept
cdef void _put_name(ByteWriter out, const unsigned char* p, Py_ssize_t start, Py_ssize_t size) noexcept
