"""Header mutations: what they make of a head's edits."""

import pytest

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.routing.build import build
from tage.dataplane.routing.mutations import HeaderMutation, HeaderMutations, MutationSet
from tage.dataplane.telemetry.access_log.record import Record
from tage.sidecar import plan
from tests.dataplane.routing.requests import request


class FakeRecord(Record):
    def __init__(self, headers=()):
        Record.__init__(self)
        self.headers = dict(headers)
        self.protocol = "HTTP/1.1"
        self.route = None

    def request_header(self, name):
        return self.headers.get(name)


def lines(edits):
    return edits.extra.decode().split("\r\n")[:-1]


def applied(mutations, removed=(), headers=(), record=None):
    edits = HeaderEdits()
    HeaderMutations([MutationSet(list(mutations), list(removed))]).apply(edits, request(headers=headers).block, record)
    return edits


def test_lines_are_added_in_order():
    edits = applied([HeaderMutation(b"a", "1"), HeaderMutation(b"b", "2"), HeaderMutation(b"a", "3")])
    assert lines(edits) == ["a: 1", "b: 2", "a: 3"]
    assert edits.names is None


@pytest.mark.parametrize(
    ("action", "there", "value"),
    [
        ("append", False, b"2"),
        ("append", True, b"1,2"),
        ("add_if_absent", False, b"2"),
        ("add_if_absent", True, b"1"),
        ("overwrite", False, None),
        ("overwrite", True, b"2"),
        ("overwrite_or_add", False, b"2"),
        ("overwrite_or_add", True, b"2"),
    ],
)
@pytest.mark.parametrize("earlier", [False, True])
def test_actions(action, there, value, earlier):
    """Whether the header came with the request or was added on the way makes no difference."""
    block = request(headers=[("X", "1")] if there and not earlier else []).block
    edits = HeaderEdits()
    if there and earlier:
        edits.add(b"x", b"1")
    HeaderMutations([MutationSet([HeaderMutation(b"x", "2", action)], [])]).apply(edits, block, None)
    assert edits.value(block, b"x") == value


def test_what_is_removed_goes_first():
    edits = applied([HeaderMutation(b"x", "2")], [b"x"], [("x", "1")])
    assert edits.value(request(headers=[("x", "1")]).block, b"x") == b"2"


def test_all_values_are_made_before_any_is_put_in():
    edits = applied(
        [HeaderMutation(b"x", "new", "overwrite_or_add"), HeaderMutation(b"x", "more"), HeaderMutation(b"y", "2")],
        [],
        [("x", "1")],
    )
    assert lines(edits) == ["x: new", "x: more", "y: 2"]


@pytest.mark.parametrize(
    ("value", "keep_empty", "expected"),
    [
        ("", False, []),
        ("", True, ["x: "]),
        ("%REQ(absent)%", False, []),
        ("%REQ(absent)%", True, ["x: "]),
        ("[%REQ(absent)%]", False, ["x: []"]),
        ("%REQ(user)%", False, ['x: a"b\\c']),  # not escaped, as logs are
        ("%PROTOCOL% 100%%", False, ["x: HTTP/1.1 100%"]),
        ("%RESPONSE_CODE%", False, ["x: 0"]),
        ("%REQ(bad)%", False, ["x: a\\x0D\\x0Ab: c"]),  # a line's end never begins another header
    ],
)
def test_values(value, keep_empty, expected):
    record = FakeRecord({b"user": b'a"b\\c', b"bad": b"a\r\nb: c"})
    mutation = HeaderMutation(b"x", value, "append", keep_empty)
    assert lines(applied([mutation], record=record)) == expected
    assert lines(applied([mutation], [b"gone"], record=record)) == expected


@pytest.mark.parametrize("constant", [True, False])
def test_the_last_of_several_that_replace_wins(constant):
    """Constant sets are prepared; others come to the same."""
    tail = [] if constant else [HeaderMutation(b"z", "%PROTOCOL%")]
    mutations = [
        HeaderMutation(b"x", "1", "overwrite_or_add"),
        HeaderMutation(b"y", "2"),
        HeaderMutation(b"x", "3", "overwrite_or_add"),
        HeaderMutation(b"e", "", "overwrite_or_add"),
        *tail,
    ]
    edits = applied(mutations, [b"r", b"x"], [("x", "0"), ("e", "0"), ("r", "0")], FakeRecord())
    assert lines(edits) == ["x: 3", "y: 2", *([] if constant else ["z: HTTP/1.1"])]
    assert edits.names == [b"r", b"x"], "e is not replaced by nothing"


def test_constant_ones_need_no_record():
    constant = MutationSet([HeaderMutation(b"x", "100%%")], [b"y"])
    assert HeaderMutations([constant]).constant
    assert not HeaderMutations([constant, MutationSet([HeaderMutation(b"x", "%PROTOCOL%")], [])]).constant


@pytest.mark.parametrize(
    "name",
    [b"", b"a b", b"a:", b":path", b":x", b"host", b"content-length", b"transfer-encoding", b"connection", b"A"],
)
def test_names_that_are_refused(name):
    with pytest.raises(ValueError, match=r"header's name|cannot be changed"):
        HeaderMutation(name, "")
    with pytest.raises(ValueError, match=r"header's name|cannot be changed"):
        MutationSet([], [name])


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0", "%NO%", "%REQ(x"])
def test_values_that_are_refused(value):
    with pytest.raises(ValueError):
        HeaderMutation(b"x", value)


def mutations(value):
    return plan.HeaderMutations([plan.HeaderMutation("x", value, "overwrite_or_add")])


@pytest.mark.parametrize(("most_specific_wins", "value"), [(False, b"table"), (True, b"route")])
def test_levels_in_the_order_of_envoy(most_specific_wins, value):
    rule = plan.Route(
        plan.RouteMatch(plan.StringMatch("prefix", "/")),
        clusters=[plan.WeightedCluster("c")],
        request_headers=mutations("route"),
        response_headers=mutations("route"),
    )
    host = plan.VirtualHost("v", ["*"], [rule], mutations("host"), mutations("host"))
    section = plan.Routes("r", [host], mutations("table"), mutations("table"), most_specific_wins)
    route = build(section).route(request())
    for each in (route.request_edits, route.response_edits):
        edits = HeaderEdits()
        each.apply(edits, request().block, None)
        assert edits.value(request().block, b"x") == value
        assert len(each.sets) == 3
