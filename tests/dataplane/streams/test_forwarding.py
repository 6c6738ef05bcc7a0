"""What a route changes in a request that goes on, and in which order."""

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.routing.build import build_route
from tage.dataplane.streams.forwarding import route_edits
from tage.sidecar import plan
from tests.dataplane.routing.test_table import request

ONE = (plan.WeightedCluster("c"),)
PREFIX = plan.RouteMatch(plan.StringMatch("prefix", "/old"))


def mutation(name, value, action="append"):
    return plan.HeaderMutations([plan.HeaderMutation(name, value, action)])


def edited(head, clusters=ONE, at=0, **fields):
    route = build_route(plan.Route(PREFIX, clusters=list(clusters), **fields))
    edits = HeaderEdits()
    route_edits(edits, head, route, route.share(at), None)
    return edits


def test_nothing_to_change():
    edits = edited(request("/old/1"))
    assert (edits.extra, edits.path, edits.authority, edits.names) == (b"", None, None, None)


def test_the_share_comes_before_the_route():
    own = plan.WeightedCluster("b", 1, mutation("x-a", "share", "overwrite_or_add"))
    clusters = (plan.WeightedCluster("a"), own)
    of_route = mutation("x-a", "route")
    assert edited(request("/old/1"), clusters, 0, request_headers=of_route).extra == b"x-a: route\r\n"
    assert edited(request("/old/1"), clusters, 1, request_headers=of_route).extra == b"x-a: share\r\nx-a: route\r\n"


def test_the_authority_sees_headers_of_the_route_and_the_path_before_its_rewrite():
    rewrite = plan.RegexRewrite("^/old/(.*)$", r"\1.test")
    edits = edited(request("/old/a?q"), host_rewrite_path=rewrite, prefix_rewrite="/new")
    assert (edits.authority, edits.path) == (b"a.test", b"/new/a?q")
    by_header = edited(
        request("/old/a"), host_rewrite_header="x-to", request_headers=mutation("x-to", "b.test", "overwrite_or_add")
    )
    assert by_header.authority == b"b.test"


def test_what_filters_made_of_it_is_rewritten():
    route = build_route(plan.Route(PREFIX, clusters=[plan.WeightedCluster("c")], prefix_rewrite="/new"))
    edits = HeaderEdits()
    edits.path = b"/old/2"
    route_edits(edits, request("/old/1"), route, None, None)
    assert edits.path == b"/new/2"
