"""The ledger's own protocol, for the mesh: `protocol: x-ledger` in mesh.yaml means this class.

A frame is a header of 24 bytes, then service, method, metadata and body:

    0  "LG"          4  request id, u32                    12  length of service, u16     16  length of metadata, u32
    2  version, 1    8  timeout in ms, u32 (a request's),  14  length of method, u16      20  length of body, u32
    3  kind             or status, u16 (a response's)

Kinds: 0 response, 1 request, 2 one-way, 3 heartbeat, 4 its answer. Metadata are pairs of strings, each behind its own
length as u16. `tage protocol check examples/bookshop/ledger.py` tries the class out.
"""

from tage.xprotocol import Frame, Protocol, pairs, u16, u32


class Ledger(Protocol):
    """The bookshop's ledger: multiplexed calls with ids of 32 bits, text metadata, one-way calls and heartbeats."""

    name = "ledger"

    _parts = {"service": u16(12), "method": u16(14), "metadata": u32(16), "body": u32(20)}
    request = Frame({0: b"LG\x01", 3: 1}, header=24, id=u32(4), timeout=u32(8), parts=_parts)
    one_way = request.but({3: 2})
    response = Frame({0: b"LG\x01", 3: 0}, header=24, id=u32(4), status=u16(8), parts=_parts)
    heartbeat = Frame({0: b"LG\x01", 3: 3}, header=24, id=u32(4), parts=_parts)
    heartbeat_ack = heartbeat.but({3: 4})

    metadata = pairs(u16)
    statuses = {0: 200, 1: 500, 2: 504, 3: 503, 4: 404}
    replies = {404: 4, 503: 3, 504: 2, 500: 1}
    heartbeat_interval = 15_000
