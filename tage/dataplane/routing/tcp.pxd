cimport cython

from tage.dataplane.routing.destination cimport Destination

@cython.final
cdef class TcpRoute(Destination):
    cdef readonly long long idle_timeout
    cdef readonly long long max_duration
    cdef readonly int max_connect_attempts
