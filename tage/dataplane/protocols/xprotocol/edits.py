"""Frames with other headers, another service or method: as `HeaderEdits` has it, all else as it came.

A header that is put in place of one that was there keeps the spelling of that name, and its place: metadata is a map
with case in most implementations. What HTTP adds on the way (x-request-id, x-forwarded-*) is not added to frames.
"""

from tage.dataplane.protocols.xprotocol.message import RpcRequest, RpcResponse
from tage.dataplane.protocols.xprotocol.protocol import Protocol
from tage.dataplane.protocols.xprotocol.shape import Shape

_SPELLINGS = {b"uniqueid": b"uniqueId"}
"""Of names that come in lower case from the configuration and were not in the frame."""


def edited_frame(head, edits):
    """The head's `frame` itself where nothing changes. ValueError: the frame has no place for the change, or it does
    not fit, in words."""
    request: RpcRequest
    response: RpcResponse
    protocol: Protocol
    shape: Shape
    frame: bytes
    added: list
    before: list
    after: list
    if isinstance(head, RpcRequest):
        request = head
        protocol, shape, frame = request.protocol, request.shape, request.frame
        if edits.path is not None or edits.authority is not None:
            frame = _renamed(request, edits)
    else:
        response = head
        protocol, shape, frame = response.protocol, response.shape, response.frame
    if edits.names is None and not edits.extra:
        return frame
    added = _added(edits.extra)
    if edits.names is None and not added:
        return frame
    before = protocol.headers(frame, shape)
    after = _applied(before, edits.names or [], added, protocol)
    return frame if after == before else protocol.with_headers(frame, shape, after)


def _renamed(head, edits):
    """With the service of the authority, else of the path; and the path's method."""
    path: bytes = head.path if edits.path is None else edits.path
    authority: bytes = edits.authority
    if path == head.path and (authority is None or authority == head.authority):
        return head.frame
    service, slash, method = path[1:].rpartition(b"/")
    if not slash or not path.startswith(b"/") or not service:
        raise ValueError(f"the path {path.decode('latin-1')!r} is not /service/method")
    if authority is not None and authority != head.authority:
        service = authority
    elif path == head.path:
        service = head.authority
    return head.protocol.with_names(head.frame, head.shape, service, method)


def _added(lines: bytes) -> list:
    """`HeaderEdits.extra` as pairs, without what belongs to HTTP."""
    found: list = []
    for line in lines.splitlines():
        name, _, value = line.partition(b": ")
        if name != b"x-request-id" and not name.startswith(b"x-forwarded-"):
            found.append((name, value))
    return found


def _applied(items: list, removed: list, added: list, protocol: Protocol) -> list:
    """`items` without the `removed` (lower case), and with the `added`."""
    result: list = []
    spelt: dict = dict(_SPELLINGS)
    pending: list = list(added)
    spelt.update({key.lower().encode(): key.encode() for key in (*protocol.service_keys, *protocol.method_keys)})
    spelt.update({name.lower(): name for name, _ in reversed(items)})
    for name, value in items:
        lower = name.lower()
        if lower not in removed:
            result.append((name, value))
            continue
        for each in pending:
            if each[0] == lower:  # in place of the one that was there
                result.append((name, each[1]))
                pending.remove(each)
                break
    result.extend([(spelt.get(name, name), value) for name, value in pending])
    return result
