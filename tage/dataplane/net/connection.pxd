from tage.dataplane.net.timers cimport Timer, TimerWheel
from tage.dataplane.net.transport cimport Transport

cdef class Connection(Timer):
    cdef Transport transport
    cdef public bint open
    cdef public bint closing
    cdef public bint write_paused
    cdef bint read_paused
    cdef tuple _peer
    cdef tuple _local
    cdef bint _proxied
    cdef Py_ssize_t _unsent
    cpdef write(self, bytes data)
    cpdef write_pieces(self, list pieces)
    cpdef pause_reading(self)
    cpdef resume_reading(self)
    cpdef close(self)
    cdef close_flushing(self, TimerWheel wheel)
    cdef close_hearing_out(self, TimerWheel wheel, long long delay)
    cdef await_flush(self, TimerWheel wheel, long long delay)
    cdef expire_closing(self, TimerWheel wheel)
    cpdef abort(self)
    cpdef reset(self)
    cpdef write_eof(self)
    cpdef flush(self)
    cpdef opened(self)
    cpdef received(self, bytes data)
    cpdef bint ended(self)
    cpdef lost(self, object error)
    cpdef drained(self)
    cpdef congested(self)
    cdef replace(self, Connection former)
    cpdef set_addresses(self, tuple peer, tuple local)
    cpdef direct_address(self)
    cpdef str peer_host(self)
    cpdef tls(self)
    cpdef tuple peer_address(self)
    cpdef tuple local_address(self)
