"""What the streams of a worker share."""

import enum

import cython

from tage.dataplane.native import Random
from tage.dataplane.net.flushes import Flushes
from tage.dataplane.net.overload import Overload
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.telemetry.access_log.log import AccessLog

if not cython.compiled:
    # Compiled, this is the enumeration in the .pxd: what clients of HTTP may speak. AUTO: either, told by ALPN or by
    # the first bytes.
    Codec = enum.IntEnum("Codec", ["HTTP1", "HTTP2", "AUTO"], start=0)
    HTTP1, HTTP2, AUTO = Codec


class Context:
    """One a worker. `clusters` maps names to `Cluster`; a new plan replaces the dict, streams under way keep theirs.
    `methods` counts requests by service and method (`telemetry.methods`), where protocols tell them.
    `drain_time` (ms): of a removed listener's connections that cannot be told to end (Envoy's --drain-time-s)."""

    def __init__(self, wheel: TimerWheel) -> None:
        self.wheel = wheel
        self.random = Random()
        self.writer = ByteWriter()
        self.clusters = {}
        self.overload = Overload()
        self.flushes = Flushes()
        self.methods = None
        self.draining = False
        self.drain_time = 600_000


class ListenerState:
    """A listener as its connections see it. A new plan changes it in place, so that the next request on an open
    connection meets the new routes and filters. Times in ms, sizes in bytes. `filters` is None where there are none.
    `tcp` is there where bytes are relayed as they are, and nothing of HTTP counts then; `access_logs` is None where
    there are none. `upgrades` are the protocols, in lower case, to which requests may switch where their route does not
    say otherwise. With `enable_trailers` those of requests are kept and those of answers sent.
    `sheds`: its requests may be refused when the worker is overloaded. `carries` is the name of the x-protocol that is
    spoken, None: HTTP.
    A `max_connection_duration` holds for connections that come after it."""

    def __init__(self, context: Context, name: str, stats) -> None:
        self.context = context
        self.name = name
        self.stats = stats
        self.routes = None
        self.filters = None
        self.tcp = None
        self.rpc = None
        """`DownstreamSettings` of the RPC protocol that is spoken; None: HTTP."""
        self.codec = HTTP1
        self.http2 = None
        """`Http2Settings`, where the codec is not HTTP1."""
        self.append_x_forwarded_for = True
        self.generate_request_id = True
        self.max_head_bytes = 61_440
        self.max_headers = 100
        self.idle_timeout = 3_600_000
        self.head_timeout = 60_000
        self.max_connection_duration = 0
        self.max_requests_per_connection = 0
        self.max_stream_duration = 0
        self.delayed_close_timeout = 1_000
        self.server_name = b"tage"
        self.connections = set()
        self.access_logs = None
        self.upgrades = frozenset()
        self.enable_trailers = False
        self.sheds = True
        self.carries = None

    def speak(self, rpc) -> None:
        """What clients speak, on connections to come: `xprotocol.settings.DownstreamSettings`, or None for HTTP."""
        self.rpc = rpc
        self.carries = None if rpc is None else rpc.protocol.name

    def write_logs(self, record):
        """To each of `access_logs`, of which there is at least one."""
        log: AccessLog
        for log in self.access_logs:
            log.write(record)
