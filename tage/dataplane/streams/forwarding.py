"""Header changes that every forwarded request gets, whatever its route: Envoy's connection manager does the same.

x-request-id        made where there is none (a version 4 UUID), kept where the client sent one
x-forwarded-for     the peer's address appended, where the listener says so
x-forwarded-proto   the scheme, added where it is missing
"""

import cython

from tage.dataplane.protocols.http1.encoder import HeaderEdits
from tage.dataplane.protocols.message import HeaderBlock
from tage.dataplane.protocols.writer import ByteWriter

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.message import FORWARDED_FOR, FORWARDED_PROTO, REQUEST_ID


def put_uuid(out, random):
    """A version 4 UUID (RFC 9562, 5.4), for telling requests apart; not a secret."""
    high: cython.ulonglong = random.next()
    low: cython.ulonglong = random.next()
    out.put_hex(high >> 32, 8)
    out.put(b"-")
    out.put_hex((high >> 16) & 0xFFFF, 4)
    out.put(b"-4")
    out.put_hex(high & 0xFFF, 3)
    out.put(b"-")
    out.put_hex(((low >> 48) & 0x3FFF) | 0x8000, 4)
    out.put(b"-")
    out.put_hex(low & 0xFFFFFFFFFFFF, 12)


def request_edits(listener, head, peer):
    """`peer` is the client's address as text; empty where it is not known."""
    edits: HeaderEdits = HeaderEdits.__new__(HeaderEdits) if cython.compiled else HeaderEdits()
    out: ByteWriter = listener.context.writer
    block: HeaderBlock = head.block
    i: cython.Py_ssize_t
    id_there: cython.bint = False
    proto_there: cython.bint = False
    hops: bytes = None
    for i in range(block.count):
        if block.kind[i] == REQUEST_ID:
            id_there = True
        elif block.kind[i] == FORWARDED_PROTO:
            proto_there = True
        elif block.kind[i] == FORWARDED_FOR:
            hops = block.value(i) if hops is None else hops + b"," + block.value(i)
    out.clear()
    if not id_there and listener.generate_request_id:
        out.put(b"x-request-id: ")
        put_uuid(out, listener.context.random)
        out.put(b"\r\n")
    if listener.append_x_forwarded_for and peer:
        out.put(b"x-forwarded-for: ")
        if hops is not None:
            edits.drop |= 1 << FORWARDED_FOR
            out.put(hops)
            out.put(b",")
        out.put(peer)
        out.put(b"\r\n")
    if not proto_there:
        out.put(b"x-forwarded-proto: ")
        out.put(head.scheme)
        out.put(b"\r\n")
    edits.extra = out.take()
    return edits
