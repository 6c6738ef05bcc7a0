from tage.dataplane.net.timers cimport Timer

cdef class Connection(Timer):
    cdef public object transport
    cdef object _write
    cdef public bint open
    cdef public bint closing
    cdef public bint write_paused
    cdef bint read_paused
    cdef void write(self, bytes data)
    cdef void pause_reading(self)
    cdef void resume_reading(self)
    cdef void close(self)
    cdef void abort(self)
    cdef void opened(self)
    cdef void received(self, bytes data)
    cdef bint ended(self)
    cdef void lost(self, object error)
    cdef void drained(self)
    cdef void congested(self)
    cdef str peer_host(self)
