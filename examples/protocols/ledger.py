"""The protocol ledger, for Tage: `protocol: x-ledger` in a mesh file means this class.

A frame is a header of 24 bytes, then the parts whose lengths stand in it; numbers are big-endian:

    0  magic "LE"          4  request id, u32                       12  length of service, u16
    2  version, 1          8  request: timeout in ms, u32           14  length of method, u16
    3  kind                8  response: status, u16                 16  length of metadata, u32
                                                                    20  length of body, u32
    24 service, method, metadata, body

Kinds: 0 response, 1 request, 2 one-way request, 3 heartbeat, 4 its answer. Statuses: 0 ok, 1 failed, 2 timed out,
3 unavailable, 4 no such service or method. Metadata are names and values, each behind its length as u16.

All of this is an example that works. Change it to what your protocol is, from top to bottom, and after each step:

    tage protocol check ledger.py
"""

from tage.xprotocol import Frame, Protocol, pairs, u16, u32


class Ledger(Protocol):
    """Ledger: multiplexed calls, metadata, one-way calls and heartbeats."""  # `tage protocol list` shows this line

    name = "ledger"

    # Where the lengths of the parts stand, in the order in which the parts follow the header. A protocol without a
    # `service` and `method` of their own has them among its metadata: say `service_keys = ("service",)` and
    # `method_keys = ("method",)` and leave the two out here. Little-endian is `u32(16).little`; a length that counts
    # the header too is `u32(16).plus(-24)`. A frame with one length for all that follows has `length=u32(20)`
    # in place of `parts`.
    _parts = {"service": u16(12), "method": u16(14), "metadata": u32(16), "body": u32(20)}

    # A frame of each kind: the bytes by which it is known (offset: value, bytes, or (mask, value) for single bits), the
    # header's size, and where the request's id, its timeout (ms) and the answer's status stand. No id at all:
    # say `multiplexing = "ordered"` below, and leave `id` out. A checksum behind the frame: `trailer=4, crc=True`.
    request = Frame({0: b"LE\x01", 3: 1}, header=24, id=u32(4), timeout=u32(8), parts=_parts)
    one_way = request.but({3: 2})
    response = Frame({0: b"LE\x01", 3: 0}, header=24, id=u32(4), status=u16(8), parts=_parts)
    heartbeat = Frame({0: b"LE\x01", 3: 3}, header=24, id=u32(4), parts=_parts)
    heartbeat_ack = heartbeat.but({3: 4})
    # What your protocol does not have is left out: without `one_way`, none; without `heartbeat`, none is answered.

    # How the part `metadata` is written: pairs, each name and value behind its length.
    metadata = pairs(u16)

    # Your protocol's statuses and the HTTP status that each is for routes, retries and statistics (others: 500);
    # and the other way, for answers that Tage has to give itself.
    statuses = {0: 200, 1: 500, 2: 504, 3: 503, 4: 404}
    replies = {404: 4, 503: 3, 504: 2, 500: 1}

    # How long (ms) a connection to a server may be idle before it is sent a heartbeat.
    heartbeat_interval = 15_000
