"""Header changes that every forwarded request gets, whatever its route: Envoy's connection manager does the same.

x-request-id        made where there is none (a version 4 UUID), kept where the client sent one
x-forwarded-for     the peer's address appended, where the listener says so
x-forwarded-proto   the scheme, added where it is missing
x-forwarded-client-cert   never goes on: nobody may say of himself what certificate he has (Envoy's SANITIZE)

And those of a request that asks for another protocol (RFC 9110, 7.8): Connection and Upgrade, for what is enabled.
"""

import cython

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.message import HeaderBlock
from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.streams.upgrades import new_key

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.message import (
        CLIENT_CERT,
        CONTENT_LENGTH,
        FORWARDED_FOR,
        FORWARDED_PROTO,
        REQUEST_ID,
    )

_MAX_UPGRADES = cython.declare(cython.Py_ssize_t, 16)  # protocols of one request that are looked at


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
    edits.drop = 1 << CLIENT_CERT
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


def route_edits(edits, head, route, share, record):
    """What the route, and the share of its clusters that was drawn (None: it has nothing of its own), change in a
    request that goes on. Envoy's order: headers, the authority, the path; each sees what the client sent and filters
    made of it, but the authority's last source is the path before its rewrite. `record` gives the operators in headers
    their values; it may be None where those of route and share are constant."""
    path: bytes
    if share is not None and share.request_edits is not None:
        share.request_edits.apply(edits, head.block, record)
    if route.request_edits is not None:
        route.request_edits.apply(edits, head.block, record)
    if share is not None or route.host_rewrite or route.host_rewrite_header or route.host_rewrite_path is not None:
        route.forward_host(head, edits, share)
    path = route.path_rewritten(head, edits)
    if path is not None:
        edits.path = path


def edits_need_record(route, share):
    """Whether a header of theirs has an operator."""
    if route.request_edits is not None and not route.request_edits.constant:
        return True
    return share is not None and share.request_edits is not None and not share.request_edits.constant


def settle_upgrade(listener, route, head):
    """What of the head's `upgrade` is enabled stays there: one protocol, the first, or none. False: it is CONNECT and
    not enabled. h2c is never switched to (RFC 9113, 3.1). `route` is None where there is none."""
    asked: bytes = head.upgrade
    if head.method == b"CONNECT":
        return _enabled(listener, route, b"connect")
    head.upgrade = None
    for each in asked.split(b",", _MAX_UPGRADES)[:_MAX_UPGRADES]:
        protocol: bytes = each.strip(b" \t")
        if protocol.lower() not in (b"h2c", b"connect") and _enabled(listener, route, protocol.lower()):
            head.upgrade = protocol
            break
    return True


def _enabled(listener, route, protocol):
    enabled = route.upgrades.get(protocol) if route is not None else None
    return protocol in listener.upgrades if enabled is None else enabled


def ask_upgrade(edits, head):
    """As HTTP/1.1 does; HTTP/2's codec makes an extended CONNECT of it."""
    if head.method == b"CONNECT":
        edits.drop |= 1 << CONTENT_LENGTH
    else:
        edits.extra += b"connection: upgrade\r\nupgrade: " + head.upgrade + b"\r\n"
        if head.upgrade.lower() == b"websocket" and head.block.get(b"sec-websocket-key") is None:
            edits.put(b"sec-websocket-key", new_key())  # the client speaks HTTP/2
