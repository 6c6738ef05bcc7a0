cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.http1.characters cimport CLASS
from tage.dataplane.protocols.http1.request cimport _valid_host
from tage.dataplane.protocols.message cimport (
    CONNECTION, CONTENT_LENGTH, KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE, kind_of, same,
)

cpdef enum Pseudo:
    REGULAR = 0
    METHOD = 1
    SCHEME = 2
    PATH = 3
    AUTHORITY = 4
    STATUS = 5
    PROTOCOL = 6
    UNKNOWN_PSEUDO = 7

cpdef enum Mark:
    UNMARKED = 0
    NEVER_INDEXED = 1

@cython.final
cdef class Field:
    cdef readonly bytes line
    cdef readonly bytes value
    cdef readonly Py_ssize_t name_size
    cdef readonly Py_ssize_t size
    cdef readonly int kind
    cdef readonly int pseudo
    cdef readonly str name_problem
    cdef readonly str problem
    cdef readonly unsigned int name_hash
    cdef readonly unsigned int hash
    cdef long long number
    cdef long long older
    cdef long long older_name
    cdef bytes name_prefix

cdef Field new_field(bytes line, Py_ssize_t name_size, Field name)
cdef Field bare_field(bytes line, Py_ssize_t name_size, unsigned int name_hash, unsigned int hash)
cdef unsigned int hash_name(const unsigned char* p, Py_ssize_t start, Py_ssize_t size) noexcept
cdef unsigned int hash_value(unsigned int name_hash, const unsigned char* p, Py_ssize_t start, Py_ssize_t size) noexcept
cdef int pseudo_of(const unsigned char* p, Py_ssize_t start, Py_ssize_t size) noexcept
cdef str check_name(const unsigned char* p, Py_ssize_t start, Py_ssize_t size)
cdef bint value_ok(const unsigned char* p, Py_ssize_t start, Py_ssize_t end) noexcept
cdef str check_pseudo(int pseudo, bytes value)
cdef str check_value(int kind, const unsigned char* p, Py_ssize_t start, Py_ssize_t end)
cdef long long number_in(const unsigned char* p, Py_ssize_t start, Py_ssize_t end) noexcept
