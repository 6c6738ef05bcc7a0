import pytest

from tage.dataplane.protocols.grpc import GrpcStatus
from tage.dataplane.routing.matcher import HeaderMatcher, StringMatcher
from tage.dataplane.routing.policy import RetryPolicy
from tests.dataplane.routing.requests import answer, request


@pytest.mark.parametrize(
    ("conditions", "connected", "sent", "again"),
    [
        (["connect-failure"], False, False, True),
        (["connect-failure"], True, True, False),
        (["reset"], False, False, True),
        (["reset"], True, True, True),
        (["5xx"], True, True, True),
        (["gateway-error"], True, True, True),
        (["gateway-error"], False, False, True),
        (["reset-before-request"], False, False, True),
        (["reset-before-request"], True, False, True),
        (["reset-before-request"], True, True, False),
        (["retriable-4xx"], False, False, False),
        (["refused-stream"], True, True, False),
    ],
)
def test_resets(conditions, connected, sent, again):
    assert RetryPolicy(conditions, 1).retries_reset(connected, sent) is again


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("cancelled", GrpcStatus.CANCELLED),
        ("deadline-exceeded", GrpcStatus.DEADLINE_EXCEEDED),
        ("internal", GrpcStatus.INTERNAL),
        ("resource-exhausted", GrpcStatus.RESOURCE_EXHAUSTED),
        ("unavailable", GrpcStatus.UNAVAILABLE),
    ],
)
def test_statuses_of_grpc(condition, status):
    policy = RetryPolicy(["connect-failure", condition], 1)
    assert [each for each in range(-1, 40) if policy.retries(answer(200), each)] == [status]
    assert not policy.retries(answer(503))
    limited = answer(200, [("x-envoy-ratelimited", "true")])
    assert not policy.retries(limited, status)
    assert RetryPolicy([condition, "envoy-ratelimited"], 1).retries(limited, status)


def test_headers_of_answers():
    policy = RetryPolicy(["retriable-headers"], 1)
    policy.headers = [HeaderMatcher(b"x", StringMatcher("exact", b"1")), HeaderMatcher(b"y", StringMatcher("present"))]
    assert policy.retries(answer(200, [("X", "1")]))
    assert policy.retries(answer(200, [("y", "")]))
    assert not policy.retries(answer(503, [("x", "2")]))
    policy = RetryPolicy(["5xx"], 1)
    policy.headers = [HeaderMatcher(b"x", StringMatcher("present"))]
    assert not policy.retries(answer(200, [("x", "1")])), "the condition is not there"


def test_what_another_envoy_has_limited_is_not_tried_again():
    limited = answer(503, [("x-envoy-ratelimited", "true")])
    assert not RetryPolicy(["5xx"], 1).retries(limited)
    assert RetryPolicy(["5xx"], 1).retries(answer(503))
    assert RetryPolicy(["envoy-ratelimited"], 1).retries(limited)
    assert RetryPolicy(["5xx", "envoy-ratelimited"], 1).retries(limited)
    assert not RetryPolicy(["envoy-ratelimited"], 1).retries(answer(429))


def test_requests_that_may_be_tried_again():
    policy = RetryPolicy(["5xx"], 1)
    assert policy.applies(request())
    policy.request_headers = [
        HeaderMatcher(b":method", StringMatcher("exact", b"GET")),
        HeaderMatcher(b"x-retry", StringMatcher("present")),
    ]
    assert policy.applies(request())
    assert policy.applies(request(method="POST", headers=[("x-retry", "1")]))
    assert not policy.applies(request(method="POST"))
