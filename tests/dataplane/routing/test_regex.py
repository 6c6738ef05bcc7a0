import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tage.dataplane.routing.matcher import StringMatcher
from tage.dataplane.routing.regex import RegexRewrite, compile_regex


@pytest.mark.parametrize(
    ("pattern", "substitution", "text", "result"),
    [
        (b"a", b"b", b"banana", b"bbnbnb"),
        (b"^/a/([^/]+)/(.*)$", rb"/\2/\1", b"/a/x/y/z", b"/y/z/x"),
        (b"a", rb"<\0>", b"aba", b"<a>b<a>"),
        (b"a", rb"\\", b"a", b"\\"),
        (b"(a)|(b)", rb"[\1\2]", b"abc", b"[a][b]c"),  # a group without a part in the match is empty
        (b"x", b"y", b"abc", b"abc"),
        (b"a*", b"-", b"baac", b"-b-c-"),  # as RE2::GlobalReplace: no empty match right behind another
        (b"", b"-", b"ab", b"-a-b-"),
        (b"", b"-", b"", b"-"),
        (b"$", b"!", b"ab", b"ab!"),
        (b"^a", b"", b"aab", b"ab"),
        (b"(?i)A", b"x", b"aA", b"xx"),
        (b".", b"x", b"\xff\x80", b"xx"),
    ],
)
def test_all_matches_are_replaced(pattern, substitution, text, result):
    assert RegexRewrite(pattern, substitution).replace(text) == result


@pytest.mark.parametrize(
    ("pattern", "substitution", "reason"),
    [
        (b"(", b"", "not a valid RE2 expression"),
        (b"a", rb"\1", "asks for group 1; the expression has 0"),
        (b"a", rb"\x", "is followed by a digit"),
        (b"a", b"b\\", "is followed by a digit"),
    ],
)
def test_what_is_refused(pattern, substitution, reason):
    with pytest.raises(ValueError, match=reason):
        RegexRewrite(pattern, substitution)


def test_the_whole_text_has_to_match():
    assert compile_regex(b"a+").matches(b"aa")
    assert not compile_regex(b"a+").matches(b"aab")
    assert compile_regex(b"A", True).matches(b"a")


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        (b"/api/v1/.*", b"/api/v1"),
        (b"^/api$", b"/api"),
        (b"/a(b|c)", b"/a"),
        (b"/a?", b"/"),
        (b".*", b""),
        (b"", b""),
        (b"(?i)/A", b"/"),
    ],
)
def test_literal_prefixes(pattern, prefix):
    assert compile_regex(pattern).prefix == prefix


PIECES = st.sampled_from(
    ["a", "b", "/", ".", "[ab]", "a*", "b?", "(a|b)", "(?i:a)", "^", "$", r"\.", "(?:/.*)?", "|", "x+"]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=6), st.lists(st.text("abAB/.x\n", max_size=8), max_size=8))
def test_what_matches_begins_with_the_literal_prefix(pieces, texts):
    regex = compile_regex("".join(pieces).encode())
    matcher = StringMatcher("regex", "".join(pieces).encode())
    for text in texts:
        matches = regex.matches(text.encode())
        assert not matches or text.encode().startswith(regex.prefix)
        assert matcher.matches(text.encode()) is matches
