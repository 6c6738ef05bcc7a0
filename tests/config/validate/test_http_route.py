from __future__ import annotations

import base64

import pytest

from tage.config.validate.values import OPERATORS
from tage.dataplane.telemetry.access_log.operators import NAMES
from tests.config.validate.findings import of, of_rule

A_MATCH = "match: [{uri: {prefix: /a}}], "


@pytest.mark.parametrize(
    "fields",
    [
        "rewrite: {uri: /b, authority: 'b:81'}", "rewrite: {authority: '[::1]:80'}",
        r"rewrite: {uriRegexRewrite: {match: '(a)', rewrite: '\1'}}",
        "retries: {attempts: 1, backoff: 1ms, retryRemoteLocalities: false, retryIgnorePreviousHosts: false}",
        "retries: {attempts: 1, retryOn: 'reset-before-request, 503'}",
        "fault: {delay: {fixedDelay: 1ms, percentage: {value: 0.0001}}, abort: {httpStatus: 200}}",
        "fault: {delay: {fixedDelay: 1s, percent: 100}}", "fault: {abort: {httpStatus: 599, percentage: {value: 100}}}",
        "fault: {abort: {grpcStatus: UNAUTHENTICATED, percentage: {value: 1}}}",
        "mirror: {host: b}, mirrorPercentage: {}", "mirrors: [{destination: {host: b}}]",
        "corsPolicy: {allowOrigins: [{regex: '.*'}], allowMethods: ['*'], allowHeaders: ['*', X-A], maxAge: 1h}",
        "corsPolicy: {unmatchedPreflights: UNSPECIFIED}",
        "headers: {request: {set: {X-A: '%REQ(x)% 100%%', Host: b}}, response: {add: {a: ''}, remove: [X-B]}}",
    ],
)  # fmt: skip
def test_rules_that_pass(fields: str) -> None:
    assert of_rule(fields) == []


@pytest.mark.parametrize(
    "fields",
    [
        "redirect: {uri: /b}", "redirect: {authority: 'b:81', redirectCode: 308}", "redirect: {port: 81}",
        "redirect: {scheme: https, derivePort: FROM_REQUEST_PORT}", A_MATCH + "redirect: {prefixRewrite: /b}",
        "directResponse: {status: 200, body: {string: a}}", "directResponse: {status: 503, body: {bytes: /wA=}}",
        "delegate: {name: b, namespace: other}, timeout: 1s",
    ],
)  # fmt: skip
def test_rules_without_a_destination_that_pass(fields: str) -> None:
    assert of_rule(fields, to="") == []


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ("rewrite: {}", "rewrite", "needs uri, uriRegexRewrite or authority"),
        ("rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}}", "rewrite", "exclude one another"),
        ("rewrite: {uriRegexRewrite: {match: a}}", "rewrite.uriRegexRewrite.rewrite", "must not be empty"),
        ("rewrite: {uriRegexRewrite: {match: '(', rewrite: a}}", "rewrite.uriRegexRewrite.match",
         "not a regular expression"),
        ("rewrite: {authority: 'a/b'}", "rewrite.authority", "is not a host"),
        ("rewrite: {authority: 'a:0'}", "rewrite.authority", "is not a port"),
        ("retries: {attempts: 0, backoff: 1s, retryIgnorePreviousHosts: true}", "retries.attempts",
         "take out retryIgnorePreviousHosts and backoff"),
        ("retries: {attempts: 1, retryRemoteLocalities: true}", "retries.retryRemoteLocalities",
         "true is not carried out"),
        ("retries: {attempts: 1, backoff: 0s}", "retries.backoff", "at least 1ms"),
        ("fault: {}", "fault", "needs delay or abort"),
        ("fault: {delay: {}}", "fault.delay.fixedDelay", "is missing"),
        ("fault: {delay: {fixedDelay: 0s}}", "fault.delay.fixedDelay", "at least 1ms"),
        ("fault: {delay: {exponentialDelay: 1s}}", "fault.delay.exponentialDelay", "is not carried out by Tage yet"),
        ("fault: {delay: {fixedDelay: 1s, percent: 101}}", "fault.delay.percent", "between 0 and 100"),
        ("fault: {abort: {}}", "fault.abort", "needs httpStatus or grpcStatus"),
        ("fault: {abort: {httpStatus: 600}}", "fault.abort.httpStatus", "between 200 and 599"),
        ("fault: {abort: {httpStatus: 500, grpcStatus: OK}}", "fault.abort", "exclude one another"),
        ("fault: {abort: {grpcStatus: Unavailable}}", "fault.abort.grpcStatus", "'Unavailable' is not one of OK"),
        ("fault: {abort: {httpStatus: 500, http2Error: x}}", "fault.abort.http2Error", "is not carried out"),
        ("fault: {abort: {httpStatus: 500, percentage: {value: 101}}}", "fault.abort.percentage.value",
         "between 0 and 100"),
        ("fault: {abort: {httpStatus: 500, percentage: {value: 0.00001}}}", "fault.abort.percentage.value",
         "too small"),
        ("mirror: {host: b}, mirrors: [{destination: {host: c}}]", "mirror", "exclude one another"),
        ("mirrors: [{destination: {host: '*'}}]", "mirrors[0].destination.host", "wildcard"),
        ("mirrorPercentage: {value: 1}", "mirrorPercentage", "is of mirror, which is not there"),
        ("mirror: {host: b}, mirrorPercent: -1", "mirrorPercent", "between 0 and 100"),
        ("corsPolicy: {allowOrigins: [{exact: ''}]}", "corsPolicy.allowOrigins[0]", "must not be empty"),
        ("corsPolicy: {allowMethods: [get]}", "corsPolicy.allowMethods[0]", "is not one of GET"),
        ("corsPolicy: {allowHeaders: ['a b']}", "corsPolicy.allowHeaders[0]", "is not the name of a header"),
        ("corsPolicy: {unmatchedPreflights: x}", "corsPolicy.unmatchedPreflights", "is not one of UNSPECIFIED"),
        ("headers: {request: {remove: [Host]}}", "headers.request.remove[0]", "cannot be changed here"),
        ("headers: {request: {set: {':path': a}}}", 'headers.request.set[":path"]', "cannot be changed here"),
        ("headers: {response: {set: {host: a}}}", "headers.response.set.host", "cannot be changed here"),
        ("headers: {response: {add: {'a b': a}}}", 'headers.response.add["a b"]', "is not the name of a header"),
        ("headers: {request: {set: {a: 'x%'}}}", "headers.request.set.a", "at position 1: no operator"),
        ("headers: {request: {set: {a: '%NOPE%'}}}", "headers.request.set.a", "%NOPE% is not carried out by Tage yet"),
        ('headers: {request: {set: {a: "x\\n"}}}', "headers.request.set.a", "control character"),
        ("rewrite: {authority: b}, headers: {request: {set: {host: c}}}", "spec.http[0]",
         "rewrite.authority and headers.request.set.host exclude one another"),
        ("redirect: {uri: /b}", "spec.http[0]", "route and redirect exclude one another"),
    ],
)  # fmt: skip
def test_rules_that_do_not(fields: str, path: str, reason: str) -> None:
    (finding,) = of_rule(fields)
    assert finding.startswith(f"{path}: ")
    assert reason in finding


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ("redirect: {}", "redirect", "lead back to the same place"),
        ("redirect: {redirectCode: 302}", "redirect", "lead back to the same place"),
        ("redirect: {uri: b}", "redirect.uri", "must begin with '/'"),
        ("redirect: {uri: /b, prefixRewrite: /c}, " + A_MATCH[:-2], "redirect", "exclude one another"),
        ("redirect: {port: 1, derivePort: FROM_REQUEST_PORT}", "redirect", "exclude one another"),
        ("match: [{uri: {exact: /a}}], redirect: {prefixRewrite: /b}", "redirect.prefixRewrite", "a uri with a prefix"),
        ("redirect: {derivePort: x}", "redirect.derivePort", "is not one of"),
        ("redirect: {scheme: ftp}", "redirect.scheme", "neither http nor https"),
        ("redirect: {uri: /b, redirectCode: 304}", "redirect.redirectCode", "is not one of 301, 302, 303, 307, 308"),
        ("redirect: {uri: /b}, rewrite: {uri: /c}", "rewrite", "has no meaning beside redirect"),
        (
            "directResponse: {status: 200}, fault: {abort: {httpStatus: 500}}",
            "fault",
            "has no meaning beside directResponse",
        ),
        ("directResponse: {status: 199}", "directResponse.status", "between 200 and 599"),
        ("directResponse: {status: 200, body: {string: a, bytes: YQ==}}", "directResponse.body", "exclude one another"),
        ("directResponse: {status: 200, body: {bytes: '*'}}", "directResponse.body.bytes", "is not base64"),
        ("delegate: {}", "delegate.name", "must not be empty"),
        ("delegate: {name: a, namespace: A}", "delegate.namespace", "not a DNS label"),
        (
            "timeout: 1s",
            "route",
            "must hold at least one destination, if there is no redirect, directResponse or delegate",
        ),
    ],
)
def test_rules_without_a_destination_that_do_not(fields: str, path: str, reason: str) -> None:
    (finding,) = of_rule(fields, to="")
    assert finding.startswith(f"{path}: ")
    assert reason in finding


def test_a_body_is_bounded() -> None:
    data = base64.b64encode(bytes(1024 * 1024)).decode()
    assert of_rule(f"directResponse: {{status: 200, body: {{bytes: '{data}'}}}}", to="") == []
    (finding,) = of_rule(f"directResponse: {{status: 200, body: {{string: '{'x' * (1024 * 1024 + 1)}'}}}}", to="")
    assert finding == "directResponse.body: has 1048577 bytes; at most 1048576 are possible"


def test_a_delegate_has_none_itself() -> None:
    text = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec: {http: [{delegate: {name: b}}]}
"""
    assert of(text) == [
        "spec.http[0].delegate: a VirtualService without hosts is a delegate itself and cannot have one"
    ]


def test_every_operator_of_a_header_is_one_that_the_sidecar_has() -> None:
    assert OPERATORS <= NAMES
