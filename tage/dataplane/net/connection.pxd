from tage.dataplane.net.timers cimport Timer

cdef class Connection(Timer):
    cdef public object transport
    cdef object _write
    cdef public bint open
    cdef public bint closing
    cdef public bint write_paused
    cdef bint read_paused
    cdef tuple _peer
    cdef tuple _local
    cdef write(self, bytes data)
    cdef pause_reading(self)
    cdef resume_reading(self)
    cdef close(self)
    cdef abort(self)
    cdef opened(self)
    cdef received(self, bytes data)
    cdef bint ended(self)
    cdef lost(self, object error)
    cdef drained(self)
    cdef congested(self)
    cdef str peer_host(self)
    cdef tuple peer_address(self)
    cdef tuple local_address(self)
