"""Checks of what frames say, and of those that Tage makes: ids, names, metadata, answers of its own, heartbeats."""

from __future__ import annotations

from itertools import product

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.xprotocol.edits import edited_frame
from tage.xprotocol import Kind, Protocol
from tage.xprotocol_testing.frames import REQUESTS, One, differs, request_head, status_of, with_id
from tage.xprotocol_testing.methods import pair, pairs
from tage.xprotocol_testing.report import Failed, Skipped
from tage.xprotocol_testing.subject import Sample, Subject, described, label

Headers = list[tuple[bytes, bytes]]

_ALL = (*REQUESTS, Kind.RESPONSE, Kind.HEARTBEAT, Kind.HEARTBEAT_ACK)
_STATUSES = (400, 403, 404, 429, 500, 502, 503, 504)
"""HTTP's, of answers that Tage gives itself."""
_MESSAGES = (b"", b"no healthy upstream", "nö\n".encode() * 50, b"m" * 70_000)


def ids(subject: Subject) -> str:
    """An id is written into a frame and read back; nothing else of the frame changes, and the first id brings back the
    frame as it was."""
    tried = 0
    for sample in subject.need(*_ALL):
        reader = subject.reader(sample.frame, str(sample))
        shape, own = reader.shape, reader.id
        if not shape.has_id:
            continue
        largest = shape.id_most
        for id in sorted({0, 1, 0x7F & largest, 0x80 & largest, 0x7FFFFFFF & largest, largest}):
            written = _written(subject, sample, reader, id)
            again = subject.reader(written, f"a {sample} with the id {id}")
            if again.id != id or again.kind != sample.kind:
                what = f"with the id {id} a {sample} is read as a {label(again.kind)} with the id {again.id}"
                raise Failed(what, written)
            back = with_id(subject.protocol, written, again.shape, own)
            if back != sample.frame:
                raise Failed(f"with its own id again, a {sample} is not what it was", back, differs(back, sample.frame))
            tried += 1
    if not tried:
        raise Skipped("its frames have no id")
    return f"{tried} ids written and read back"


def _written(subject: Subject, sample: Sample, reader: One, id: int) -> bytes:
    shape, protocol = reader.shape, subject.protocol
    try:
        written = with_id(protocol, sample.frame, shape, id)
    except Exception as error:
        raise Failed(f"writing the id {id} into a {sample} raises {described(error)}", sample.frame) from error
    at = protocol.id_at(sample.frame, shape) if shape.id_by_method else shape.frame.id.at
    if len(written) != len(sample.frame):
        raise Failed(f"with the id {id}, a {sample} has {len(written)} bytes", written)
    end = len(written) - (shape.trailer if shape.crc else 0)
    if (
        written[:at] != sample.frame[:at]
        or written[at + shape.id_width : end] != sample.frame[at + shape.id_width : end]
    ):
        raise Failed(f"with the id {id}, a {sample} is changed elsewhere too", written, differs(written, sample.frame))
    return written


def unchanged(subject: Subject) -> str:
    """What nothing is changed in goes on byte for byte."""
    samples = subject.need(*_ALL)
    for sample in samples:
        reader = subject.reader(sample.frame, str(sample))
        out = with_id(subject.protocol, sample.frame, reader.shape, reader.id)
        if out != sample.frame:
            raise Failed(f"a {sample} that keeps its id is not what it was", out, differs(out, sample.frame))
        if sample.kind in REQUESTS:
            head = request_head(subject.protocol, reader)
            if edited_frame(head, HeaderEdits()) != sample.frame:
                raise Failed(f"a {sample} in which nothing is edited is not what it was", sample.frame)
    return f"{len(samples)} frames"


def names(subject: Subject) -> str:
    """A request tells its service and method, and others can be written in their place."""
    shown: list[str] = []
    for sample in subject.need(*REQUESTS):
        reader = subject.reader(sample.frame, str(sample))
        service, method = _names(subject, reader)
        head = request_head(subject.protocol, reader)
        if (head.authority, head.path) != (service, b"/" + service + b"/" + method):
            raise Failed(f"a {sample} is routed as {head.authority!r} {head.path!r}", sample.frame)
        _renamed(subject, sample, reader, service)
        shown.append(f"{service.decode(errors='replace')}/{method.decode(errors='replace')}")
    return ", ".join(dict.fromkeys(shown))


def _names(subject: Subject, reader: One) -> tuple[bytes, bytes]:
    frame, shape = reader.frame, reader.shape
    found = pair(subject.ask("names", frame, shape, frame=frame), "names()", frame)
    if found is None:
        raise Skipped("its frames have no names: it can be routed at frame depth only")
    if not found[0]:
        raise Failed("names() gives an empty service for an example", frame)
    return found


def _renamed(subject: Subject, sample: Sample, reader: One, service: bytes) -> None:
    """Another name has the same end: what metadata follow from it stay."""
    frame, shape = reader.frame, reader.shape
    wanted = (b"other." + service, b"call")
    try:
        changed = subject.protocol.with_names(frame, shape, *wanted)
    except (ValueError, NotImplementedError):
        return  # rewrites are refused, and the user is told
    except Exception as error:
        raise Failed(f"with_names() raises {described(error)}", frame) from error
    again = subject.reader(changed, f"a {sample} with other names")
    if again.kind != sample.kind or again.id != reader.id:
        raise Failed(f"with other names, a {sample} is a {label(again.kind)} with the id {again.id}", changed)
    got = _names(subject, again)
    if got not in (wanted, (wanted[0], b"")):
        raise Failed(f"with other names, a {sample} tells {got!r}", changed)
    if _but_names(subject, again, wanted[0]) != _but_names(subject, reader, service):
        raise Failed(f"with other names, a {sample} has other metadata", changed)


def _but_names(subject: Subject, reader: One, service: bytes) -> Headers:
    """Of the metadata those that name neither service nor method."""
    return [each for each in _headers(subject, reader) if each[0] not in _keys(subject) and each[1] != service]


def metadata(subject: Subject) -> str:
    """Metadata are read; written back they are the same frame; others in their place are read back, and nothing else of
    the frame has changed."""
    tried = 0
    for sample in subject.need(*REQUESTS, Kind.RESPONSE):
        reader = subject.reader(sample.frame, str(sample))
        own = _headers(subject, reader)
        if not _takes_headers(subject, reader, own):
            continue
        same = _with(subject, reader, own)
        if same != reader.frame:
            raise Failed(f"with the metadata that it has, a {sample} is changed", same, differs(same, reader.frame))
        for wanted in _variants(own, _keys(subject)):
            _read_back(subject, sample, reader, wanted)
            tried += 1
        _too_large(subject, sample, reader, own)
    if not tried:
        raise Skipped("its frames have no metadata that can be written")
    return f"{tried} sets of metadata written and read back"


def _variants(own: Headers, keys: set[bytes]) -> list[Headers]:
    """Those that name service and method stay: what else there is may follow from them."""
    free = [each for each in own if each[0] not in keys]
    return [
        [*own, (b"x-tage", b"1")],
        [*own, (b"x-tage", b""), (b"x-tage-2", "Überprüfung".encode())],
        [(b"x-tage", b"v" * 5000), *own],
        [*own, (b"connection", b"close"), (b"te", b"a"), (b"host", b"b"), (b"content-length", b"7")],
        [(name, value if name in keys else value + b"-changed") for name, value in own],
        [each for each in own if each != free[0]] if free else own,
    ]


def _by_name(headers: Headers) -> Headers:
    """What stands under different names has no order."""
    return sorted(headers, key=lambda header: header[0])


def _headers(subject: Subject, reader: One) -> Headers:
    frame, shape = reader.frame, reader.shape
    return pairs(subject.ask("headers", frame, shape, frame=frame), "headers()", frame)


def _takes_headers(subject: Subject, reader: One, own: Headers) -> bool:
    try:
        changed = subject.protocol.with_headers(reader.frame, reader.shape, [*own, (b"a", b"b")])
    except (ValueError, NotImplementedError):
        return False
    except Exception as error:
        raise Failed(f"with_headers() raises {described(error)}", reader.frame) from error
    return bool(own) or changed != reader.frame


def _with(subject: Subject, reader: One, headers: Headers) -> bytes:
    try:
        return subject.protocol.with_headers(reader.frame, reader.shape, headers)
    except Exception as error:
        raise Failed(f"with_headers({_short(headers)}) raises {described(error)}", reader.frame) from error


def _read_back(subject: Subject, sample: Sample, reader: One, wanted: Headers) -> None:
    changed = _with(subject, reader, wanted)
    again = subject.reader(changed, f"a {sample} with the metadata {_short(wanted)}")
    got = _headers(subject, again)
    if _by_name(got) != _by_name(wanted):
        raise Failed(f"the metadata {_short(wanted)} are read back as {_short(got)}", changed)
    if (again.kind, again.id) != (reader.kind, reader.id):
        raise Failed(f"other metadata make of a {sample} a {label(again.kind)} with the id {again.id}", changed)
    own = _headers(subject, reader)
    if len(wanted) <= len(own):
        return  # what was shown and does not stand in the frame may have been written into it now
    back = _with(subject, again, own)
    if back != reader.frame:
        raise Failed(f"with its own metadata again, a {sample} is not what it was", back, differs(back, reader.frame))


def _too_large(subject: Subject, sample: Sample, reader: One, own: Headers) -> None:
    """What does not fit is refused, or fits: it is never cut short."""
    wanted = [*own, (b"x-tage", b"v" * 70_000)]
    try:
        changed = subject.protocol.with_headers(reader.frame, reader.shape, wanted)
    except ValueError:
        return
    except Exception as error:
        raise Failed(f"with_headers() of 70,000 bytes raises {described(error)}", reader.frame) from error
    got = _headers(subject, subject.reader(changed, f"a {sample} with a value of 70,000 bytes"))
    if _by_name(got) != _by_name(wanted):
        raise Failed("a value of 70,000 bytes is not read back, and was not refused with a ValueError", reader.frame)


def edits(subject: Subject) -> str:
    """What routes and filters do to the headers of a request is in the frame that goes on."""
    tried = 0
    for sample in subject.need(*REQUESTS):
        reader = subject.reader(sample.frame, str(sample))
        own = _headers(subject, reader)
        if not _takes_headers(subject, reader, own):
            continue
        steps = HeaderEdits()
        steps.put(b"x-tage", b"1")
        _edited(subject, sample, steps, [*_without(own, b"x-tage"), (b"x-tage", b"1")])
        # To take away the name of the service is to take away the service.
        for name in [name for name, _ in own if name not in _keys(subject)][:1]:
            steps = HeaderEdits()
            steps.remove(name.lower())
            steps.add(b"x-tage-2", b"two")
            _edited(subject, sample, steps, [*_without(own, name), (b"x-tage-2", b"two")])
        tried += 1
    if not tried:
        raise Skipped("its requests have no metadata that can be written")
    return f"{tried} requests"


def _keys(subject: Subject) -> set[bytes]:
    """Of the metadata that name service and method."""
    protocol: Protocol = subject.protocol
    words: tuple[str, ...] = (*protocol.service_keys, *protocol.method_keys)
    return {word.encode() for word in words}


def _without(headers: Headers, name: bytes) -> Headers:
    return [each for each in headers if each[0].lower() != name.lower()]


def _edited(subject: Subject, sample: Sample, steps: HeaderEdits, wanted: Headers) -> None:
    reader = subject.reader(sample.frame, str(sample))
    try:
        frame = edited_frame(request_head(subject.protocol, reader), steps)
    except Exception as error:
        raise Failed(f"editing headers raises {described(error)}", sample.frame) from error
    got = _headers(subject, subject.reader(frame, f"a {sample} with edited headers"))
    if _by_name(got) != _by_name(wanted):
        raise Failed(f"edited headers are {_short(got)} in place of {_short(wanted)}", frame)


def replies(subject: Subject) -> str:
    """What Tage answers itself is a response of this protocol, with the request's id and the status that was meant."""
    protocol, tried = subject.protocol, 0
    otherwise: set[int] = set()
    expressed = set(protocol.statuses.values()) if protocol.statuses else set()
    for sample in subject.need(Kind.REQUEST):
        for frame, status, message in product(_with_ids(subject, sample), _STATUSES, _MESSAGES):
            reader = subject.reader(frame, str(sample))
            answer = subject.ask("reply", frame, reader.shape, status, message, frame=frame)
            if type(answer) is not bytes:
                raise Failed(f"reply({status}) gives no bytes for a request that waits for an answer", frame)
            got = _answered(subject, reader, status, answer)
            if got != status:
                if status in expressed:
                    raise Failed(f"a reply with the status {status} is read as {got}", answer)
                otherwise.add(status)
            tried += 1
    note = f"; without a number of their own: {', '.join(map(str, sorted(otherwise)))}" if otherwise else ""
    return f"{tried} answers{note}"


def _with_ids(subject: Subject, sample: Sample) -> list[bytes]:
    shape = subject.reader(sample.frame, str(sample)).shape
    if not shape.has_id:
        return [sample.frame]
    largest = shape.id_most
    return [sample.frame, *(with_id(subject.protocol, sample.frame, shape, id) for id in (largest, largest // 3))]


def _answered(subject: Subject, asked: One, status: int, answer: bytes) -> int:
    """The status of the answer."""
    reader = subject.reader(answer, f"reply({status})")
    if reader.kind != Kind.RESPONSE:
        raise Failed(f"reply({status}) is a {label(reader.kind)}", answer)
    if reader.id != asked.id:
        raise Failed(f"reply({status}) has the id {reader.id}, the request {asked.id}", answer)
    got = status_of(subject.protocol, reader)
    if got < 400:
        raise Failed(f"reply({status}) is read as the status {got}, which is no failure", answer)
    return got


def heartbeat(subject: Subject) -> str:
    """A heartbeat can be made; the answer to one is an answer, with its id."""
    protocol = subject.protocol
    made = subject.ask("heartbeat_frame", frame=None)
    found = [sample.frame for sample in subject.samples(Kind.HEARTBEAT)]
    if made is None and not found:
        raise Skipped("the protocol has no heartbeats")
    if made is not None:
        reader = subject.reader(made, "heartbeat_frame()")
        if reader.kind != Kind.HEARTBEAT:
            raise Failed(f"heartbeat_frame() is a {label(reader.kind)}", made)
        found.append(made)
    for frame in found:
        shape = subject.reader(frame, "a heartbeat").shape
        largest = shape.id_most
        for id in {1, 77, largest} if largest else {0}:
            asked = subject.reader(with_id(protocol, frame, shape, id) if largest else frame, "a heartbeat")
            answer = subject.ask("heartbeat_answer", asked.frame, asked.shape, frame=asked.frame)
            if type(answer) is not bytes:
                raise Failed("heartbeat_answer() gives no bytes", frame)
            reader = subject.reader(answer, "heartbeat_answer()")
            if reader.kind != Kind.HEARTBEAT_ACK:
                raise Failed(f"heartbeat_answer() is a {label(reader.kind)}", answer)
            if reader.id != asked.id:
                raise Failed(f"heartbeat_answer() has the id {reader.id}, the heartbeat {asked.id}", answer)
    return "made and answered" if made is not None else "answered; none is made"


def go_away(subject: Subject) -> str:
    """What tells a client to go elsewhere is read as that."""
    frame = subject.ask("go_away_frame", frame=None)
    if frame is None and not subject.samples(Kind.GO_AWAY):
        raise Skipped("the protocol has none")
    if frame is None:
        return "understood; none is made"
    reader = subject.reader(frame, "go_away_frame()")
    if reader.kind != Kind.GO_AWAY:
        raise Failed(f"go_away_frame() is a {label(reader.kind)}", frame)
    return f"{len(frame)} bytes"


_OTHERS = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": bytes.fromhex("160301020001") + bytes(40),
}


def detection(subject: Subject) -> str:
    """The first bytes of its frames are known for its own, and those of HTTP and TLS are not."""
    protocol = subject.protocol
    if not protocol.discriminating:
        raise Skipped("nothing in its first bytes is its own: it needs a port by name")
    samples = subject.need(*REQUESTS)
    for sample in [*samples, *subject.samples(Kind.HEARTBEAT)]:
        answers = [protocol.matches(sample.frame[:end]) for end in range(min(len(sample.frame), 64) + 1)]
        if 0 in answers:
            end = answers.index(0)
            raise Failed(
                f"the first {end} bytes of a {sample} are not known for its own", sample.frame, max(0, end - 1)
            )
        if answers[-1] != 2:
            raise Failed(f"a {sample} is never known for its own", sample.frame)
        if answers != sorted(answers):
            raise Failed(f"for a {sample}, what its first bytes are known for changes", sample.frame)
    for name, data in _OTHERS.items():
        if protocol.matches(data) != 0:
            raise Failed(f"the first bytes of {name} are taken for its own", data)
    needed = min(end for end in range(65) if protocol.matches(samples[0].frame[:end]) == 2)
    return f"known by {needed} bytes"


def _short(headers: Headers) -> str:
    shown = ", ".join(
        f"{name.decode(errors='replace')}={value[:20].decode(errors='replace')}" + ("..." if len(value) > 20 else "")
        for name, value in headers[:6]
    )
    return f"[{shown}]" if len(headers) <= 6 else f"[{shown}, {len(headers) - 6} more]"


CHECKS = {
    "ids": ids,
    "unchanged": unchanged,
    "names": names,
    "metadata": metadata,
    "edits": edits,
    "replies": replies,
    "heartbeat": heartbeat,
    "go-away": go_away,
    "detection": detection,
}
