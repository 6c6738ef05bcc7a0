cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.xprotocol.pairs cimport Pairs
from tage.dataplane.protocols.xprotocol.shape cimport (
    EVENT, GO_AWAY, HEARTBEAT, HEARTBEAT_ACK, IGNORED, MAYBE, NO, ONE_WAY, REQUEST, RESPONSE, YES, Shape, with_part,
)

cdef class Protocol:
    cdef readonly tuple shapes
    cdef readonly frozenset overridden
    cdef readonly unsigned long long id_most
    cdef readonly bint discriminating
    cdef readonly bint can_answer_heartbeats
    cdef list _shapes
    cdef int _count
    cdef readonly bint own_names
    cdef readonly bint own_headers
    cdef readonly bint own_method
    cdef readonly bint own_status
    cdef readonly bint own_timeout
    cdef readonly bint has_names
    cdef Pairs _pairs
    cdef tuple _service_keys
    cdef tuple _method_keys
    cdef bytes _timeout_key
    cdef dict _statuses
    cdef int[::1] _status_table
    cdef unsigned long long[::1] _word_mask
    cdef unsigned long long[::1] _word_value
    cdef int[::1] _more_tests
    cdef list _slots
    cdef int match(self, const unsigned char* p, Py_ssize_t start, Py_ssize_t end) noexcept
    cdef int _match_slowly(self, const unsigned char* p, Py_ssize_t start, Py_ssize_t end) noexcept
    cpdef int matches(self, bytes prefix) except -1
    cdef tuple call_of(self, bytes frame, Shape shape)
    cdef tuple _declared_call(self, bytes frame, Shape shape)
    cdef tuple _call_by_method_of(self, bytes frame, Shape shape, (Py_ssize_t, Py_ssize_t) service)
    cdef tuple _interned(self, const unsigned char* p, Py_ssize_t start, Py_ssize_t end, const unsigned char* q, Py_ssize_t method, Py_ssize_t method_end)
    cdef int status_of(self, bytes frame, Shape shape) except -1
    cdef Py_ssize_t timeout_in(self, bytes frame, Shape shape) except -1
    cpdef int http_status(self, long long status) except -1
    cpdef tuple names(self, bytes frame, Shape shape)
    cpdef bytes method_of(self, bytes frame, Shape shape)
    cpdef list headers(self, bytes frame, Shape shape)
    cpdef bytes with_headers(self, bytes frame, Shape shape, list headers)
    cpdef bytes with_names(self, bytes frame, Shape shape, bytes service, bytes method)
    cpdef bytes reply(self, bytes request, Shape shape, int status, bytes message)
    cpdef bytes heartbeat_frame(self)
    cpdef bytes heartbeat_answer(self, bytes frame, Shape shape)
    cpdef bytes go_away_frame(self)
    cpdef int classify(self, bytes frame, Shape shape) except? -1
    cpdef Py_ssize_t size(self, bytes data, Py_ssize_t start, Py_ssize_t available, Shape shape) except? -1
    cpdef Py_ssize_t id_at(self, bytes frame, Shape shape) except? -1
    cpdef int response_status(self, bytes frame, Shape shape) except? -1
    cpdef Py_ssize_t timeout_of(self, bytes frame, Shape shape) except? -1
    cpdef bytes example(self, object kind)

cdef unsigned long long _mixed(unsigned long long hash, const unsigned char* p, Py_ssize_t start, Py_ssize_t end) noexcept
cdef bint _printable(const unsigned char* p, Py_ssize_t start, Py_ssize_t end) noexcept
