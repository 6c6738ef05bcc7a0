cimport cython

from tage.dataplane.upstream.connection cimport Receiver, UpstreamConnection

@cython.final
cdef class Calls:
    cdef readonly Py_ssize_t waiting
    cdef readonly Py_ssize_t reserved
    cdef public unsigned long long last_id
    cdef dict _by_id
    cdef object _order
    cdef unsigned long long next_id(self, unsigned long long most) except? 0
    cdef unsigned long long enter(self, Receiver receiver, unsigned long long most) except? 0
    cdef Receiver answered(self, unsigned long long number)
    cdef bint carries(self, Receiver receiver) except -1
    cdef give_up(self, Receiver receiver)
    cdef forget(self, Receiver receiver)
    cdef list take_all(self)

@cython.final
cdef class Relays:
    cdef unsigned long long _last_id
    cdef dict _by_id
    cdef Py_ssize_t count(self)
    cdef unsigned long long next_id(self, unsigned long long most) except? 0
    cdef enter(self, unsigned long long ours, UpstreamConnection upstream, unsigned long long number)
    cdef tuple answered(self, unsigned long long ours)

cdef unsigned long long _free(unsigned long long last, unsigned long long most, dict taken) except? 0
