"""What keeps a request from going round for ever.

Max-Forwards (RFC 9110, 7.6.2) is heeded in OPTIONS and TRACE: where it is 0 the request is answered here, else it goes
on with one less. In other requests it is a header like any.

A proxy must not forward to itself without end (RFC 9110, 7.6). A request that goes to a host that is a listener of this
sidecar says in `x-tage-hops` how often it did; after `MAX_HOPS` times it is answered 508 (RFC 5842, 7.2). Requests to
other hosts cost nothing, and keep the header as it came, so that a way back by a proxy between is counted on.
"""

import cython

from tage.dataplane.protocols.message import HeaderBlock

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.message import MAX_FORWARDS, TAGE_HOPS

    MALFORMED = -2
    UNLIMITED = -1
    MAX_HOPS = 10

_MOST = cython.declare(cython.longlong, 999_999_999)


def forwards_left(head):
    """How often a request may still be forwarded; at most `_MOST`, which RFC 9110 leaves to the recipient."""
    if (head.method != b"OPTIONS" and head.method != b"TRACE") or head.block.find(MAX_FORWARDS) < 0:
        return UNLIMITED
    return _number(head.block, MAX_FORWARDS)


def limit_forwards(edits, left):
    edits.drop |= 1 << MAX_FORWARDS
    edits.extra += b"max-forwards: %d\r\n" % left


def hops_made(head):
    """How often this sidecar has forwarded it to itself; what cannot be read counts as the limit."""
    made: cython.longlong
    if head.block.find(TAGE_HOPS) < 0:
        return 0
    made = _number(head.block, TAGE_HOPS)
    return MAX_HOPS if made == MALFORMED else made


def count_hop(edits, head):
    """Once, however many tries there are."""
    if not (edits.drop >> TAGE_HOPS) & 1:
        edits.drop |= 1 << TAGE_HOPS
        edits.extra += b"x-tage-hops: %d\r\n" % (hops_made(head) + 1)


def _number(block: HeaderBlock, kind: cython.int) -> cython.longlong:
    """The one value of the headers of that kind, digits only; `MALFORMED` where it is none or there are several."""
    i: cython.Py_ssize_t
    value: bytes = None
    for i in range(block.count):
        if block.kind[i] == kind:
            if value is not None:
                return MALFORMED
            value = block.value(i)
    if value is None or not value.isdigit():
        return MALFORMED
    value = value.lstrip(b"0")
    if len(value) > 9:
        return _MOST
    return int(value or b"0")
