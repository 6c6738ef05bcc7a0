"""Strings, headers, query parameters: what is asked, of what, and the answer."""

import pytest

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.routing.matcher import HeaderMatcher, QueryMatcher, StringMatcher, first_value, query_value
from tests.dataplane.routing.requests import request


@pytest.mark.parametrize(
    ("text", "matches", "ignoring_case"),
    [
        ("/a", True, True),
        ("/a/", True, True),
        ("/a/b", True, True),
        ("/ab", False, False),
        ("/", False, False),
        ("/A/b", False, True),
        ("x/a", False, False),
    ],
)
def test_separated_prefixes(text, matches, ignoring_case):
    assert StringMatcher("separated_prefix", b"/a").matches(text.encode()) is matches
    assert StringMatcher("separated_prefix", b"/A", True).matches(text.encode()) is ignoring_case


@pytest.mark.parametrize("text", ["b", "ab", "abab", "xbx", "aab"])
def test_contains_looks_everywhere(text):
    assert StringMatcher("contains", b"b").matches(text.encode())
    assert StringMatcher("contains", b"B", True).matches(text.encode())
    assert not StringMatcher("contains", b"bc").matches(text.encode())


@pytest.mark.parametrize(
    ("value", "within"),
    [
        ("-1", False),
        ("0", True),
        ("+7", True),
        ("9", True),
        ("10", False),
        ("007", True),
        (" 7", True),
        ("7.0", False),
        ("7a", False),
        ("", False),
        ("-", False),
        ("99999999999999999999999", False),
    ],
)
def test_ranges_end_before_their_end(value, within):
    head = request(headers=[("x", value)])
    for invert in (False, True):
        assert HeaderMatcher(b"x", StringMatcher("present"), invert, False, (0, 10)).matches(head) is (within != invert)
    assert not HeaderMatcher(b"x", StringMatcher("present"), True, False, (0, 10)).matches(request())


def test_one_of_several_lines_may_be_in_the_range():
    head = request(headers=[("x", "a"), ("x", "7")])
    assert HeaderMatcher(b"x", StringMatcher("present"), range=(0, 10)).matches(head)
    assert not HeaderMatcher(b"x", StringMatcher("present"), True, range=(0, 10)).matches(head)


def test_a_range_may_be_negative():
    assert HeaderMatcher(b"x", StringMatcher("present"), range=(-5, 0)).matches(request(headers=[("x", "-5")]))


@pytest.mark.parametrize(
    ("kind", "value", "invert", "of_absent", "of_a"),
    [
        # Envoy's treat_missing_header_as_empty, as Istio's withoutHeaders has it.
        ("exact", "a", True, True, False),
        ("exact", "b", True, True, True),
        ("exact", "", False, True, False),
        ("prefix", "a", True, True, False),
        ("regex", ".*", True, False, False),
        ("regex", ".*", False, True, True),
        ("present", "", False, True, True),
    ],
)
def test_what_is_absent_may_count_as_empty(kind, value, invert, of_absent, of_a):
    matcher = HeaderMatcher(b"x", StringMatcher(kind, value.encode()), invert, True)
    assert matcher.matches(request()) is of_absent
    assert matcher.matches(request(headers=[("x", "a")])) is of_a


def test_host_is_the_authority():
    head = request("http://b/", host="a")
    assert HeaderMatcher(b"host", StringMatcher("exact", b"b")).matches(head)
    assert HeaderMatcher(b":authority", StringMatcher("exact", b"b")).matches(head)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/?q=1", b"1"),
        ("/?a=b&q=1&c", b"1"),
        ("/?q=1&q=2", b"1"),
        ("/?q", b""),
        ("/?q=", b""),
        ("/?q&q=1", b""),
        ("/?q=a=b", b"a=b"),
        ("/?q=%41", b"%41"),
        ("/?xq=1", None),
        ("/?qx=1", None),
        ("/?Q=1", None),
        ("/?&&q=1", b"1"),
        ("/q=1", None),
        ("/", None),
        ("/?", None),
        ("/a?b?q=1", None),
        ("/?a?q=1&q=2", b"2"),
    ],
)
def test_query_values(path, value):
    assert query_value(path.encode(), b"q") == value
    assert QueryMatcher(b"q").matches(path.encode()) is (value is not None)
    assert QueryMatcher(b"q", absent=True).matches(path.encode()) is (value is None)
    assert QueryMatcher(b"q", StringMatcher("exact", b"1")).matches(path.encode()) is (value == b"1")


def test_a_query_value_that_is_absent_matches_nothing():
    assert not QueryMatcher(b"q", StringMatcher("exact", b"")).matches(b"/")
    assert QueryMatcher(b"q", StringMatcher("exact", b"")).matches(b"/?q")


def test_first_values_of_what_came_and_of_what_edits_made_of_it():
    head = request("/p", "h", "PUT", [("x", "1"), ("X", "2"), ("connection", "keep-alive")])
    assert first_value(head, None, b"x") == b"1"
    assert [first_value(head, None, name) for name in (b":path", b":authority", b"host", b":method", b":scheme")] == [
        b"/p", b"h", b"h", b"PUT", b"http",
    ]  # fmt: skip
    assert first_value(head, None, b"y") is None
    edits = HeaderEdits()
    assert first_value(head, edits, b"x") == b"1"
    assert first_value(head, edits, b"connection") is None, "it does not go on"
    edits.put(b"x", b"3")
    edits.path, edits.authority, edits.method = b"/q", b"i", b"GET"
    assert first_value(head, edits, b"x") == b"3"
    assert [first_value(head, edits, name) for name in (b":path", b":authority", b":method")] == [b"/q", b"i", b"GET"]


@pytest.mark.parametrize(
    ("matcher", "reason"),
    [
        (HeaderMatcher(b"x", StringMatcher("exact", b"b")), "header x is 'b'; it is 'a'"),
        (HeaderMatcher(b"y", StringMatcher("prefix", b"b")), "header y begins with 'b'; it is absent"),
        (HeaderMatcher(b"x", StringMatcher("present"), True), "header x not: is there; it is 'a'"),
        (
            HeaderMatcher(b"x", StringMatcher("present"), range=(1, 5)),
            "header x is a whole number from 1 to 4; it is 'a'",
        ),
        (HeaderMatcher(b"x", StringMatcher("exact", b"A", True)), ""),
        (HeaderMatcher(b"x", StringMatcher("suffix", b"B", True)), "header x ends with 'b' (case ignored); it is 'a'"),
        (
            HeaderMatcher(b":path", StringMatcher("regex", b"/x+")),
            "path with query matches the expression '/x+'; it is '/p?q=1'",
        ),
    ],
)
def test_why_headers_do_not_match(matcher, reason):
    head = request("/p?q=1", headers=[("x", "a")])
    assert matcher.mismatch(head) == reason
    assert matcher.matches(head) is (reason == "")


@pytest.mark.parametrize(
    ("matcher", "reason"),
    [
        (QueryMatcher(b"q", StringMatcher("contains", b"2")), "query parameter q contains '2'; it is '1'"),
        (QueryMatcher(b"q", absent=True), "query parameter q is absent; it is '1'"),
        (QueryMatcher(b"r"), "query parameter r is there; it is absent"),
        (QueryMatcher(b"q"), ""),
    ],
)
def test_why_query_parameters_do_not_match(matcher, reason):
    assert matcher.mismatch(b"/p?q=1") == reason


def test_long_values_are_cut_in_reasons():
    reason = HeaderMatcher(b"x", StringMatcher("exact", b"b")).mismatch(request(headers=[("x", "a" * 1000)]))
    assert len(reason) < 300
    assert reason.endswith("...'")
