"""Formats: what each operator says, what is refused, and that no peer can forge a line."""

from __future__ import annotations

import json
import re
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tage.dataplane.protocols.grpc import GrpcStatus
from tage.dataplane.telemetry.access_log import operators
from tage.dataplane.telemetry.access_log.format import JsonFormat, TextFormat, compile_format
from tage.dataplane.telemetry.access_log.record import Record


class HeaderRecord(Record):
    """A record with these headers."""

    def __init__(self, request: dict[bytes, bytes], response: dict[bytes, bytes]) -> None:
        super().__init__()
        self.request = request
        self.response = response
        self.trailers = {b"grpc-message": b"no such book"}

    def request_header(self, name: bytes) -> bytes | None:
        return self.request.get(name)

    def response_header(self, name: bytes) -> bytes | None:
        return self.response.get(name)

    def response_trailer(self, name: bytes) -> bytes | None:
        return self.trailers.get(name)


def make(request: dict[bytes, bytes] | None = None, **fields: Any) -> HeaderRecord:
    """A request that went well, but for `fields`."""
    headers = {
        b":method": b"GET",
        b":path": b"/a/b?q=1",
        b":authority": b"reviews",
        b"user-agent": b"curl/8",
        b"x-request-id": b"7",
        b"x-forwarded-for": b"10.0.0.9",
    }
    record = HeaderRecord(headers if request is None else request, {b"server": b"x", b"x-r": b"abcdef"})
    values: dict[str, Any] = {
        "started": 1_795_455_308_065_306,
        "duration": 12_345,
        "request_duration": 0,
        "response_duration": 10_999,
        "protocol": "HTTP/1.1",
        "code": 200,
        "details": "via_upstream",
        "grpc_status": 5,
        "bytes_received": 4,
        "bytes_sent": 5_000,
        "attempts": 1,
        "remote": ("10.0.0.9", 40_000),
        "local": ("::1", 15_001, 0, 0),
        "server_name": "a.example",
        "connection_id": 5,
        "upstream": ("10.0.0.1", 80),
        "upstream_local": ("10.0.0.2", 50_000),
        "cluster": "outbound|80||reviews",
        "route": "canary",
    }
    for name, value in {**values, **fields}.items():
        setattr(record, name, value)
    return record


def text(form: str, record: Record | None = None, omit_empty: bool = False) -> str:
    return TextFormat(form, omit_empty).render(record or make()).decode()


@pytest.mark.parametrize(
    ("form", "expected", "missing"),
    [
        ("%START_TIME%", "2026-11-23T17:35:08.065Z", "1970-01-01T00:00:00.000Z"),
        ("%START_TIME(%s)%", "1795455308", "0"),
        ("%REQ(:METHOD)%", "GET", "-"),
        ("%REQ(User-Agent)%", "curl/8", "-"),
        ("%REQ(NO?USER-AGENT)%", "curl/8", "-"),
        ("%REQ(USER-AGENT?:PATH)%", "curl/8", "-"),
        ("%REQ(USER-AGENT):4%", "curl", "-"),
        ("%REQUEST_HEADER(:PATH)%", "/a/b?q=1", "-"),
        ("%REQ_WITHOUT_QUERY(:PATH)%", "/a/b", "-"),
        ("%REQ_WITHOUT_QUERY(NO?:PATH):2%", "/a", "-"),
        ("%RESP(X-R):3%", "abc", "-"),
        ("%RESP(NO?X-R)%", "abcdef", "-"),
        ("%RESPONSE_HEADER(SERVER)%", "x", "-"),
        ("%TRAILER(GRPC-MESSAGE):7%", "no such", "-"),
        ("%RESPONSE_TRAILER(NO?grpc-message)%", "no such book", "-"),
        ("%TRAILER(SERVER)%", "-", "-"),
        ("%GRPC_STATUS%", "NotFound", "-"),
        ("%GRPC_STATUS(CAMEL_STRING)%", "NotFound", "-"),
        ("%GRPC_STATUS(SNAKE_STRING)%", "NOT_FOUND", "-"),
        ("%GRPC_STATUS(NUMBER)%", "5", "-"),
        ("%GRPC_STATUS_NUMBER%", "5", "-"),
        ("%PROTOCOL%", "HTTP/1.1", "-"),
        ("%RESPONSE_CODE%", "200", "0"),
        ("%RESPONSE_CODE_DETAILS%", "via_upstream", "-"),
        ("%CONNECTION_TERMINATION_DETAILS%", "-", "-"),
        ("%RESPONSE_FLAGS%", "-", "-"),
        ("%BYTES_RECEIVED%", "4", "0"),
        ("%BYTES_SENT%", "5000", "0"),
        ("%DURATION%", "12", "0"),
        ("%REQUEST_DURATION%", "0", "-"),
        ("%RESPONSE_DURATION%", "10", "-"),
        ("%RESPONSE_TX_DURATION%", "1", "-"),
        ("%UPSTREAM_HOST%", "10.0.0.1:80", "-"),
        ("%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.1", "-"),
        ("%UPSTREAM_REMOTE_PORT%", "80", "-"),
        ("%UPSTREAM_LOCAL_ADDRESS%", "10.0.0.2:50000", "-"),
        ("%UPSTREAM_CLUSTER%", "outbound|80||reviews", "-"),
        ("%UPSTREAM_CLUSTER_RAW%", "outbound|80||reviews", "-"),
        ("%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "1", "0"),
        ("%UPSTREAM_TRANSPORT_FAILURE_REASON%", "-", "-"),
        ("%DOWNSTREAM_REMOTE_ADDRESS%", "10.0.0.9:40000", "-"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.9", "-"),
        ("%DOWNSTREAM_LOCAL_ADDRESS%", "[::1]:15001", "-"),
        ("%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", "::1", "-"),
        ("%DOWNSTREAM_LOCAL_PORT%", "15001", "-"),
        ("%ROUTE_NAME%", "canary", "-"),
        ("%VIRTUAL_CLUSTER_NAME%", "-", "-"),
        ("%REQUESTED_SERVER_NAME%", "a.example", "-"),
        ("%HOSTNAME%", socket.gethostname(), socket.gethostname()),
        ("%CONNECTION_ID%", "5", "-"),
        ("100%% of %DURATION%%%", "100% of 12%", "100% of 0%"),
        ("", "", ""),
    ],
)
def test_operators(form: str, expected: str, missing: str) -> None:
    assert text(form) == expected
    assert text(form, Record()) == missing
    assert text(form, Record(), omit_empty=True) == ("" if missing == "-" and "FLAGS" not in form else missing)


@pytest.mark.parametrize("name", sorted(operators.NAMES))
def test_no_operator_fails_where_nothing_is_known(name: str) -> None:
    text(f"%{name}(a)%" if name in operators.HEADERS else f"%{name}%", Record())


def test_the_names_of_grpcs_statuses() -> None:
    assert [text("%GRPC_STATUS(SNAKE_STRING)%", make(grpc_status=status)) for status in range(17)] == [
        status.name for status in sorted(GrpcStatus)
    ]


@pytest.mark.parametrize(
    ("status", "camel", "snake"),
    [
        (0, "OK", "OK"),
        (1, "Canceled", "CANCELLED"),
        (4, "DeadlineExceeded", "DEADLINE_EXCEEDED"),
        (16, "Unauthenticated", "UNAUTHENTICATED"),
        (17, "17", "17"),
        (99_999_999, "99999999", "99999999"),
    ],
)
def test_statuses_of_grpc(status: int, camel: str, snake: str) -> None:
    record = make(grpc_status=status)
    assert text("%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%", record) == f"{camel} {snake} {status}"
    assert json.loads(JsonFormat({"s": "%GRPC_STATUS_NUMBER%"}).render(record)) == {"s": status}


def test_flags() -> None:
    record = make(flags="UF")
    assert text("%RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%", record) == "UF UpstreamConnectionFailure"


def test_the_default() -> None:
    assert compile_format("", None, False).render(make()).decode() == (
        '[2026-11-23T17:35:08.065Z] "GET /a/b?q=1 HTTP/1.1" 200 - 4 5000 12 - '
        '"10.0.0.9" "curl/8" "7" "reviews" "10.0.0.1:80"\n'
    )


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ("%FOO%", "at position 0: %FOO%: unknown operator"),
        ("ab %RESPONSE_COD%", "at position 3: %RESPONSE_COD%: unknown operator; is it RESPONSE_CODE?"),
        ("%REQ%", "at position 0: %REQ%: needs a header's name in parentheses"),
        ("%REQ()%", "at position 0: %REQ%: needs a header's name in parentheses"),
        ("%REQ(?A)%", "at position 0: %REQ%: needs a header's name in parentheses"),
        ("%REQ(A):0%", "at position 0: %REQ%: a length of 0 leaves nothing"),
        ("%PROTOCOL(x)%", "at position 0: %PROTOCOL%: takes nothing in parentheses"),
        ("%DURATION:3%", "at position 0: %DURATION%: takes no length"),
        ("%START_TIME(%Q)%", "at position 0: %START_TIME%: unknown time format '%Q'"),
        ("100%", "at position 3: no operator"),
        ("%%%", "at position 2: no operator"),
        ("%duration%", "at position 0: no operator"),
        ("%DURATION", "at position 0: no operator"),
    ],
)
def test_refused(form: str, error: str) -> None:
    with pytest.raises(ValueError) as caught:
        TextFormat(form)
    assert str(caught.value).startswith(error)
    with pytest.raises(ValueError, match=r"^a\.b\[1\]: at position"):
        JsonFormat({"a": {"b": ["x", form]}})


# -- what peers send ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"plain ~", "plain ~"),
        (b'say "x"', r"say \x22x\x22"),
        (b"back\\slash", r"back\x5Cslash"),
        (b"a\nb\r\0\x1b[31m\x7f\t", r"a\x0Ab\x0D\x00\x1B[31m\x7F\x09"),
        ("é €".encode(), "é €"),
        (b"\xff\xc3", r"\xFF\xC3"),
        ("\u2028\x85\u202e".encode(), r"\xE2\x80\xA8\xC2\x85\xE2\x80\xAE"),
    ],
)
def test_text_from_a_peer(value: bytes, shown: str) -> None:
    assert text("[%REQ(A)%]", make({b"a": value})) == f"[{shown}]"


@given(st.binary())
def test_nothing_from_a_peer_ends_a_line_or_a_field_or_is_lost(value: bytes) -> None:
    line = TextFormat('"%REQ(A)%"').render(make({b"a": value})).decode()
    assert line.count('"') == 2
    assert line.isprintable()
    assert re.sub(rb"\\x([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), line[1:-1].encode()) == value


@given(st.dictionaries(st.sampled_from([b"a", b"b", b":path"]), st.binary()))
def test_json_is_valid_whatever_peers_send(headers: dict[bytes, bytes]) -> None:
    line = JsonFormat({"a": "%REQ(A)%", "b": "<%REQ(B)%> %REQ(:PATH)%", "n": "%DURATION%"}).render(make(headers))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found = json.loads(line)
    assert found["n"] == 12
    assert (found["a"] is None) == (b"a" not in headers)
    assert found["a"] is None or found["a"] == headers[b"a"].decode("utf-8", "backslashreplace")


# -- JSON --------------------------------------------------------------------------------------------------------------


def test_json_values_have_their_types() -> None:
    form = JsonFormat(
        {
            "z": "%RESPONSE_CODE%",
            "a": "%REQ(NO)%",
            "mixed": "x %REQ(NO)% %RESPONSE_CODE%",
            "nest": {"list": ["%PROTOCOL%", 1, 2.5, True, None, {"d": "%DURATION%"}]},
            "percent": "100%%",
            "empty": "",
        }
    )
    assert form.render(make()).decode() == (
        '{"a":null,"empty":"","mixed":"x - 200","nest":{"list":["HTTP/1.1",1,2.5,true,null,{"d":12}]},'
        '"percent":"100%","z":200}\n'
    )


def test_json_without_what_is_missing() -> None:
    form = JsonFormat({"a": "%REQ(NO)%", "m": "x%REQ(NO)%", "l": ["%REQ(NO)%", 1], "o": {"a": "%REQ(NO)%"}}, True)
    assert form.render(make()) == b'{"l":[1],"m":"x","o":{}}\n'
