from tage.dataplane.filters.filter cimport Exchange
from tage.dataplane.protocols.grpc cimport timeout_in, timeout_value
from tage.dataplane.routing.policy cimport RetryPolicy
from tage.dataplane.streams.context cimport Context, ListenerState

cdef class Deadlines(Exchange):
    cdef Context context
    cdef ListenerState listener
    cdef bint backing_off
    cdef bint patient
    cdef long long started
    cdef long long try_started
    cdef long long route_deadline
    cdef long long try_deadline
    cdef long long idle_limit
    cdef long long retry_at
    cdef long long resume_at
    cdef long long last_activity
    cdef long long now(self)
    cdef long long active(self)
    cdef bint too_long(self, long long now)
    cdef long long _longest(self)
    cdef bint try_idle(self, long long now)
    cdef start_call_clock(self)
    cdef start_clock(self)
    cdef start_try_clock(self, long long now)
    cdef back_off(self, int tries)
    cdef rearm(self, long long now)
