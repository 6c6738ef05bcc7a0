cimport cython

from tage.dataplane.protocols.writer cimport ByteWriter
from tage.dataplane.protocols.xprotocol.pairs cimport number

cdef enum:
    REQUEST = 0
    ONE_WAY = 1
    RESPONSE = 2
    HEARTBEAT = 3
    HEARTBEAT_ACK = 4
    GO_AWAY = 5
    EVENT = 6
    IGNORED = 7

cdef enum:
    NO = 0
    MAYBE = 1
    YES = 2

@cython.final
cdef class Shape:
    cdef readonly int kind
    cdef readonly int index
    cdef readonly str name
    cdef readonly object frame
    cdef readonly Py_ssize_t header
    cdef readonly Py_ssize_t trailer
    cdef readonly bint crc
    cdef readonly bint by_method
    cdef readonly bint has_id
    cdef readonly bint id_by_method
    cdef readonly int id_width
    cdef readonly bint id_little
    cdef readonly bint has_status
    cdef readonly bint has_timeout
    cdef readonly bint has_length
    cdef readonly unsigned long long id_most
    cdef readonly tuple part_names
    cdef readonly int parts
    cdef readonly int service
    cdef readonly int method
    cdef readonly int metadata
    cdef readonly int body
    cdef Py_ssize_t _id_at
    cdef Py_ssize_t[::1] _at
    cdef int[::1] _width
    cdef int[::1] _little
    cdef int[::1] _signed
    cdef tuple _fields
    cdef long long[::1] _most
    cdef unsigned long long[::1] _mask
    cdef long long[::1] _add
    cdef Py_ssize_t _tests
    cdef Py_ssize_t[::1] _test_at
    cdef unsigned char[::1] _test_mask
    cdef unsigned char[::1] _test_value
    cdef int fits(self, const unsigned char* p, Py_ssize_t start, Py_ssize_t end) noexcept
    cpdef int matches(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef Py_ssize_t read(self, const unsigned char* p, Py_ssize_t start, int field) noexcept
    cdef write(self, ByteWriter out, bytes frame, int field, long long value)
    cdef Py_ssize_t total(self, const unsigned char* p, Py_ssize_t start) noexcept
    cpdef bint has_header(self, bytes frame) except -1
    cpdef unsigned long long id(self, bytes frame) except? 0xFFFFFFFFFFFFFFFF
    cpdef Py_ssize_t status(self, bytes frame) except? -1
    cpdef Py_ssize_t timeout(self, bytes frame) except? -1
    cdef (Py_ssize_t, Py_ssize_t) part_at(self, bytes frame, int index) noexcept

cpdef put_frame(ByteWriter out, bytes frame, Shape shape, object protocol, unsigned long long id)
cdef _mend(ByteWriter out, Py_ssize_t start, bytes frame, Shape shape)
cpdef bytes with_part(Shape shape, bytes frame, int index, bytes new)
cdef ByteWriter _OUT
