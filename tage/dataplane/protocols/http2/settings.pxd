cimport cython

@cython.final
cdef class Http2Settings:
    cdef readonly Py_ssize_t header_table_size
    cdef readonly Py_ssize_t max_concurrent_streams
    cdef readonly Py_ssize_t initial_stream_window
    cdef readonly Py_ssize_t initial_connection_window
    cdef readonly Py_ssize_t max_frame_size
    cdef readonly Py_ssize_t max_head_bytes
    cdef readonly Py_ssize_t max_headers
    cdef readonly long long keepalive_interval
    cdef readonly long long keepalive_timeout
    cdef readonly bint allow_connect
