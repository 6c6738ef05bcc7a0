cimport cython

from tage.dataplane.native cimport Random
from tage.dataplane.net.flushes cimport Flushes
from tage.dataplane.net.overload cimport Overload
from tage.dataplane.net.timers cimport TimerWheel
from tage.dataplane.protocols.http2.settings cimport Http2Settings
from tage.dataplane.protocols.writer cimport ByteWriter
from tage.dataplane.protocols.xprotocol.settings cimport DownstreamSettings
from tage.dataplane.routing.table cimport RouteTable
from tage.dataplane.routing.tcp cimport TcpRoute
from tage.dataplane.telemetry.access_log.log cimport AccessLog
from tage.dataplane.telemetry.access_log.record cimport Record
from tage.dataplane.telemetry.methods cimport MethodStats
from tage.dataplane.telemetry.store cimport StatGroup

cpdef enum Codec:
    HTTP1 = 0
    HTTP2 = 1
    AUTO = 2

@cython.final
cdef class Context:
    cdef public TimerWheel wheel
    cdef public Random random
    cdef public ByteWriter writer
    cdef public dict clusters
    cdef public Overload overload
    cdef public Flushes flushes
    cdef public MethodStats methods
    cdef public bint draining
    cdef public long long drain_time

@cython.final
cdef class ListenerState:
    cdef public Context context
    cdef public str name
    cdef public StatGroup stats
    cdef public RouteTable routes
    cdef public list filters
    cdef public TcpRoute tcp
    cdef public int codec
    cdef public Http2Settings http2
    cdef public bint append_x_forwarded_for
    cdef public bint generate_request_id
    cdef public Py_ssize_t max_head_bytes
    cdef public Py_ssize_t max_headers
    cdef public long long idle_timeout
    cdef public long long head_timeout
    cdef public long long max_connection_duration
    cdef public long long max_requests_per_connection
    cdef public long long max_stream_duration
    cdef public long long delayed_close_timeout
    cdef public bytes server_name
    cdef public set connections
    cdef public list access_logs
    cdef public frozenset upgrades
    cdef public bint enable_trailers
    cdef public bint sheds
    cdef readonly str carries
    cdef readonly DownstreamSettings rpc
    cpdef write_logs(self, Record record)
