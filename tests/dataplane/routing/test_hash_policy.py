"""Keys of requests. The expected hashes are XXH64 of what Envoy hashes, combined as Envoy does."""

import re

import pytest

from tage.dataplane.native import Random
from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.routing.hash_policy import HashPolicies, HashPolicy, cookie_attributes, cookie_value
from tage.dataplane.routing.hashing import xxh64
from tage.dataplane.routing.regex import RegexRewrite
from tests.dataplane.routing.requests import request

RANDOM = Random(7)
MASK = (1 << 64) - 1


def key(*policies, headers=(), path="/", source=b"", edits=None):
    return HashPolicies(list(policies)).key(request(path, headers=headers), edits, source, RANDOM)


@pytest.mark.parametrize(
    ("policy", "request_has", "hashed"),
    [
        (HashPolicy("header", b"x"), {"headers": [("X", "1")]}, b"1"),
        (HashPolicy("header", b"x"), {"headers": [("x", "")]}, b""),
        (HashPolicy("header", b":path"), {"path": "/p?q"}, b"/p?q"),
        (HashPolicy("header", b":authority"), {}, b"a"),
        (HashPolicy("header", b"host"), {}, b"a"),
        (
            HashPolicy("header", b"x", rewrite=RegexRewrite(b"^([^.]+).*$", rb"\1")),
            {"headers": [("x", "user.session")]},
            b"user",
        ),
        (HashPolicy("query_parameter", b"q"), {"path": "/?a=b&q=1&q=2"}, b"1"),
        (HashPolicy("query_parameter", b"q"), {"path": "/?q"}, b""),
        (HashPolicy("source_ip"), {"source": b"10.0.0.1"}, b"10.0.0.1"),
        (HashPolicy("cookie", b"s"), {"headers": [("cookie", "a=b; s=1"), ("cookie", "s=2")]}, b"1"),
    ],
)
def test_what_is_hashed(policy, request_has, hashed):
    assert key(policy, **request_has) == xxh64(hashed)


@pytest.mark.parametrize(
    "policy",
    [
        HashPolicy("header", b"x"),
        HashPolicy("query_parameter", b"q"),
        HashPolicy("source_ip"),
        HashPolicy("cookie", b"s"),
    ],
)
def test_nothing_is_there(policy):
    assert key(policy, headers=[("cookie", "t=1; s=")]) == 0


def test_the_order_of_a_headers_values_does_not_count():
    expected = xxh64(b"2", xxh64(b"1"))
    for values in (["1", "2"], ["2", "1"]):
        assert key(HashPolicy("header", b"x"), headers=[("x", value) for value in values]) == expected


def test_edits_count():
    edits = HeaderEdits()
    edits.put(b"x", b"2")
    edits.path = b"/?q=3"
    assert key(HashPolicy("header", b"x"), headers=[("x", "1")], edits=edits) == xxh64(b"2")
    assert key(HashPolicy("query_parameter", b"q"), path="/?q=1", edits=edits) == xxh64(b"3")
    edits.remove(b"x")
    assert key(HashPolicy("header", b"x"), headers=[("x", "1")], edits=edits) == 0


def test_policies_are_combined():
    header, source = HashPolicy("header", b"x"), HashPolicy("source_ip")
    one, two = xxh64(b"1"), xxh64(b"10.0.0.1")
    turned = ((one << 1) & MASK) | (one >> 63)
    given = {"headers": [("x", "1")], "source": b"10.0.0.1"}
    assert key(header, source, **given) == turned ^ two
    assert key(header, header, **given) == turned ^ one, "the same twice does not cancel out"
    assert key(HashPolicy("header", b"x", True), source, **given) == one
    assert key(HashPolicy("header", b"y", True), source, **given) == two, "it gave nothing, so the next is asked"


def test_cookies_are_made_where_there_is_none():
    policies = HashPolicies([HashPolicy("cookie", b"s", attributes=cookie_attributes(90, "/p", [("SameSite", "Lax")]))])
    head = request(headers=[("cookie", "t=1")])
    first = policies.key(head, None, b"", RANDOM)
    made = policies.cookie.decode()
    assert re.fullmatch(r's="[0-9a-f]{16}"; Max-Age=90; Path=/p; SameSite=Lax; HttpOnly', made)
    assert first == xxh64(made[3:19].encode())
    assert policies.key(head, None, b"", RANDOM) != first
    again = request(headers=[("cookie", made.partition(";")[0])])
    assert policies.key(again, None, b"", RANDOM) == first, "the client comes back with it"
    assert policies.cookie is None


def test_attributes():
    assert cookie_attributes(0, "", []) == b"; HttpOnly"
    assert cookie_attributes(0, "/", [("Secure", "")]) == b"; Path=/; Secure; HttpOnly"
    for attributes in (("/;", []), ("", [("a", "b\r\n")]), ("", [("a;", "")])):
        with pytest.raises(ValueError, match="cannot stand in a cookie's attribute"):
            cookie_attributes(0, *attributes)


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ([b"s=1"], b"1"),
        ([b"a=b;s=1"], b"1"),
        ([b"a=b; s=1"], b"1"),
        ([b's="1"'], b"1"),
        ([b's="'], b'"'),
        ([b"s=a=b"], b"a=b"),
        ([b"s"], None),
        ([b"S=1"], None),
        ([b"xs=1", b"s=2"], b"2"),
        ([], None),
    ],
)
def test_cookie_values(lines, value):
    assert cookie_value(lines, b"s") == value
