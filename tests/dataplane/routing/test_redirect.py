import pytest

from tage.dataplane.routing.matcher import StringMatcher
from tage.dataplane.routing.redirect import Redirect
from tage.dataplane.routing.regex import RegexRewrite
from tage.dataplane.routing.route import Route
from tests.dataplane.routing.requests import request


def location(redirect, path="/a/b?c=d", host="h:8080", kind="prefix", value="/a", scheme=b"http"):
    head = request(path, host)
    head.scheme = scheme
    route = Route(StringMatcher(kind, value.encode()))
    route.redirect = redirect
    return route.location(head).decode()


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        (Redirect(), "http://h:8080/a/b?c=d"),
        (Redirect(scheme=b"https"), "https://h:8080/a/b?c=d"),
        (Redirect(host=b"x.example"), "http://x.example/a/b?c=d"),
        (Redirect(host=b"x.example", port=81), "http://x.example:81/a/b?c=d"),
        (Redirect(port=81), "http://h:81/a/b?c=d"),
        (Redirect(path=b"/p"), "http://h:8080/p?c=d"),
        (Redirect(path=b"/p?q=1"), "http://h:8080/p?q=1"),
        (Redirect(path=b"/p", strip_query=True), "http://h:8080/p"),
        (Redirect(path=b"/p?q=1", strip_query=True), "http://h:8080/p?q=1"),  # its own stays, as in Envoy
        (Redirect(prefix=b"/x"), "http://h:8080/x/b?c=d"),
        (Redirect(prefix=b"/x", strip_query=True), "http://h:8080/x/b"),
        (Redirect(regex=RegexRewrite(b"/b", b"/z")), "http://h:8080/a/z?c=d"),
        (Redirect(scheme=b"https", host=b"x", port=8443, path=b"/"), "https://x:8443/?c=d"),
    ],
)
def test_locations(redirect, expected):
    assert location(redirect) == expected


@pytest.mark.parametrize(
    ("host", "scheme", "expected"),
    [
        ("h", b"http", "https://h/"),
        ("h:80", b"http", "https://h/"),  # the old scheme's default says nothing of the new one's
        ("h:443", b"http", "https://h:443/"),
        ("[::1]:80", b"http", "https://[::1]/"),
        ("[::1]", b"http", "https://[::1]/"),
        ("h:80", b"https", "https://h:80/"),
        ("h:443", b"https", "https://h:443/"),
    ],
)
def test_the_port_of_the_old_scheme_goes(host, scheme, expected):
    assert location(Redirect(scheme=b"https"), "/", host, value="/", scheme=scheme) == expected


@pytest.mark.parametrize(
    ("kind", "value", "path", "expected"),
    [
        ("exact", "/a", "/a?q", "http://h:8080/x?q"),
        ("prefix", "/a/", "/a/b", "http://h:8080/xb"),
        ("separated_prefix", "/a", "/a/b", "http://h:8080/x/b"),
        ("regex", "/a.*", "/a/b?q", "http://h:8080/x?q"),
    ],
)
def test_a_prefix_takes_the_place_of_what_matched(kind, value, path, expected):
    assert location(Redirect(prefix=b"/x"), path, kind=kind, value=value) == expected
