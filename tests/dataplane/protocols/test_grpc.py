import grpc as grpcio
import pytest

from tage.dataplane.protocols import errors, grpc
from tage.dataplane.protocols.grpc import GrpcStatus
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.protocols.message import HeaderBlock


def block(*lines: bytes) -> HeaderBlock:
    """Header lines as a head has them."""
    decoder = RequestDecoder()
    decoder.feed(b"POST / HTTP/1.1\r\nhost: a\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n")
    decoder.read_head()
    return decoder.head.block


def test_the_statuses_are_grpcs() -> None:
    assert {status.name: status.value for status in GrpcStatus} == {
        code.name: code.value[0] for code in grpcio.StatusCode
    }


@pytest.mark.parametrize(
    ("http", "expected"),
    [
        (400, GrpcStatus.INTERNAL),
        (401, GrpcStatus.UNAUTHENTICATED),
        (403, GrpcStatus.PERMISSION_DENIED),
        (404, GrpcStatus.UNIMPLEMENTED),
        (429, GrpcStatus.UNAVAILABLE),
        (502, GrpcStatus.UNAVAILABLE),
        (503, GrpcStatus.UNAVAILABLE),
        (504, GrpcStatus.UNAVAILABLE),
        (200, GrpcStatus.UNKNOWN),
        (418, GrpcStatus.UNKNOWN),
        (500, GrpcStatus.UNKNOWN),
        (501, GrpcStatus.UNKNOWN),
        (505, GrpcStatus.UNKNOWN),
    ],
)
def test_an_http_status_stands_for_one_of_grpcs(http: int, expected: GrpcStatus) -> None:
    assert grpc.from_http(http) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (GrpcStatus.OK, 200),
        (GrpcStatus.CANCELLED, 499),
        (GrpcStatus.UNKNOWN, 500),
        (GrpcStatus.INVALID_ARGUMENT, 400),
        (GrpcStatus.DEADLINE_EXCEEDED, 504),
        (GrpcStatus.NOT_FOUND, 404),
        (GrpcStatus.ALREADY_EXISTS, 409),
        (GrpcStatus.PERMISSION_DENIED, 403),
        (GrpcStatus.RESOURCE_EXHAUSTED, 429),
        (GrpcStatus.FAILED_PRECONDITION, 400),
        (GrpcStatus.ABORTED, 409),
        (GrpcStatus.OUT_OF_RANGE, 400),
        (GrpcStatus.UNIMPLEMENTED, 501),
        (GrpcStatus.INTERNAL, 500),
        (GrpcStatus.UNAVAILABLE, 503),
        (GrpcStatus.DATA_LOSS, 500),
        (GrpcStatus.UNAUTHENTICATED, 401),
        (17, 500),
        (99_999_999, 500),
    ],
)
def test_a_grpc_status_stands_for_one_of_https(status: int, expected: int) -> None:
    assert grpc.to_http(status) == expected


def test_statistics_know_grpcs_own_statuses_only() -> None:
    assert [grpc.known(status) for status in (-1, 0, 16, 17, 4_711)] == [-1, 0, 16, 2, 2]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"0", 0),
        (b"14", 14),
        (b"00000016", 16),
        (b"99999999", 99_999_999),
        (b"", 2),
        (b"-1", 2),
        (b"1.0", 2),
        (b"OK", 2),
        (b"100000000", 2),
    ],
)
def test_the_status_of_heads_and_trailers(value: bytes, expected: int) -> None:
    assert grpc.status_in(block(b"x-grpc-status: 1", b"Grpc-Status: " + value, b"grpc-status: 3")) == expected
    assert grpc.status_of(b"grpc-status: " + value + b"\r\n") == expected
    lines = b"grpc-status-details-bin: AAA\r\ngrpc-message: grpc-status: 5\r\ngrpc-status: " + value + b"\r\nx: y\r\n"
    assert grpc.status_of(lines) == expected


def test_there_may_be_no_status() -> None:
    assert grpc.status_in(block(b"grpc-message: 1")) == -1
    assert grpc.status_of(None) == -1
    assert grpc.status_of(b"x: grpc-status: 1\r\ngrpc-status:\r\n") == -1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1H", 3_600_000),
        (b"2M", 120_000),
        (b"3S", 3_000),
        (b"4m", 4),
        (b"5000u", 5),
        (b"5001u", 6),
        (b"1u", 1),
        (b"7000000n", 7),
        (b"7000001n", 8),
        (b"1n", 1),
        (b"99999999H", 99_999_999 * 3_600_000),
        (b"00000001S", 1_000),
        (b"", -1),
        (b"S", -1),
        (b"1", -1),
        (b"12", -1),
        (b"0S", -1),
        (b"100000000m", -1),
        (b"-1S", -1),
        (b"+1S", -1),
        (b"1.5S", -1),
        (b"1 S", -1),
        (b"1s", -1),
        (b"1SS", -1),
    ],
)
def test_how_long_a_caller_waits(value: bytes, expected: int) -> None:
    assert grpc.timeout_in(block(b"Grpc-Timeout: " + value)) == expected


def test_a_caller_need_not_say_how_long_it_waits() -> None:
    assert grpc.timeout_in(block(b"timeout: 1S")) == -1


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (1, b"1m"),
        (99_999_999, b"99999999m"),
        (100_000_000, b"100000S"),
        (100_000_001, b"100001S"),
        (99_999_999_000, b"99999999S"),
        (99_999_999_001, b"27778H"),
        (3_600_000 * 99_999_999, b"99999999H"),
        (1 << 60, b"99999999H"),
    ],
)
def test_a_time_limit_is_written_within_eight_digits(ms: int, expected: bytes) -> None:
    assert grpc.timeout_value(ms) == expected
    assert grpc.timeout_in(block(b"grpc-timeout: " + expected)) >= min(ms, 3_600_000 * 99_999_999)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"no healthy upstream", b"no healthy upstream"),
        (b"100 %", b"100 %25"),
        (b"a\r\nb\t~\x7f", b"a%0D%0Ab%09~%7F"),
        ("踏歌".encode(), b"%E8%B8%8F%E6%AD%8C"),
        (b"", b""),
    ],
)
def test_messages_are_percent_encoded(text: bytes, expected: bytes) -> None:
    assert grpc.encoded(text) == expected
    assert grpc.decoded(expected) == text


def test_a_message_that_is_not_well_encoded_is_not_lost() -> None:
    assert grpc.decoded(b"50% of %e8%B8%8f, %zz%2") == "50% of 踏, %zz%2".encode()


def test_an_answer_of_our_own_is_one_head() -> None:
    assert grpc.local_answer(errors.NO_HEALTHY_HOST, 503, b"no healthy upstream\n") == (
        b"content-type: application/grpc\r\ngrpc-status: 14\r\ngrpc-message: no healthy upstream\r\n"
    )
    assert grpc.local_answer(errors.DIRECT, 403, b"") == b"content-type: application/grpc\r\ngrpc-status: 7\r\n"
    long = grpc.local_answer(errors.DIRECT, 200, b"\x00" * 1_000_000)
    assert long == b"content-type: application/grpc\r\ngrpc-status: 2\r\ngrpc-message: " + 1_024 * b"%00" + b"\r\n"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.NO_ROUTE, GrpcStatus.UNIMPLEMENTED),
        (errors.CONNECT_TIMEOUT, GrpcStatus.UNAVAILABLE),
        (errors.OVERFLOW, GrpcStatus.UNAVAILABLE),
        (errors.PROTOCOL_ERROR, GrpcStatus.UNAVAILABLE),
        (errors.RATE_LIMITED, GrpcStatus.UNAVAILABLE),
        (errors.MALFORMED, GrpcStatus.INTERNAL),
        (errors.NO_CONNECT, GrpcStatus.UNKNOWN),
        (errors.REQUEST_TIMEOUT, GrpcStatus.DEADLINE_EXCEEDED),
        (errors.STREAM_IDLE, GrpcStatus.DEADLINE_EXCEEDED),
        (errors.REQUEST_IDLE, GrpcStatus.DEADLINE_EXCEEDED),
        (errors.MAX_DURATION, GrpcStatus.DEADLINE_EXCEEDED),
        (errors.REQUEST_MAX_DURATION, GrpcStatus.DEADLINE_EXCEEDED),
    ],
)
def test_what_goes_wrong_here_in_grpcs_terms(error: errors.ProxyError, expected: GrpcStatus) -> None:
    assert grpc.local_status(error, error.status) == expected
