cdef class Record:
    cdef public long long started
    cdef public long long duration
    cdef public long long request_duration
    cdef public long long response_duration
    cdef public long long upstream_duration
    cdef public str protocol
    cdef public int code
    cdef public str details
    cdef public str flags
    cdef public int grpc_status
    cdef public long long bytes_received
    cdef public long long bytes_sent
    cdef public int attempts
    cdef public tuple remote
    cdef public tuple direct_remote
    cdef public tuple local
    cdef public str server_name
    cdef public long long connection_id
    cdef public tuple upstream
    cdef public tuple upstream_local
    cdef public str upstream_failure
    cdef public str cluster
    cdef public str route
    cdef public str termination_details
    cdef public object tls
    cpdef bytes request_header(self, bytes name)
    cpdef bytes response_header(self, bytes name)
    cpdef bytes response_trailer(self, bytes name)
