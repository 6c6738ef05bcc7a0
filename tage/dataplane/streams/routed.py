"""From the filters to a cluster: what a stream's route says is to become of the request.

It is answered here, or a cluster is chosen, the head is edited as the chosen cluster, the route, its virtual host and
table say, and mirrors get their copies. The order of the edits is Envoy's: headers, then the authority, then the path,
so that a header's value may tell what they were.
"""

import cython

from tage.dataplane.net.proxy_protocol import encode
from tage.dataplane.protocols import errors
from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.message import HeaderBlock, RequestHead
from tage.dataplane.routing.hash_policy import HashPolicies
from tage.dataplane.routing.route import Mirror, Route
from tage.dataplane.streams.downstream import DownstreamConnection
from tage.dataplane.streams.outcome import Outcome
from tage.dataplane.streams.record import StreamRecord
from tage.dataplane.streams.shadow import Shadow
from tage.dataplane.telemetry import layout
from tage.dataplane.upstream.cluster import Cluster

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.edits import edited_request
    from tage.dataplane.protocols.message import TRAILER
    from tage.dataplane.streams.forwarding import (
        ask_upgrade,
        edits_need_record,
        request_edits,
        route_edits,
        settle_upgrade,
    )
    from tage.dataplane.streams.loops import UNLIMITED, limit_forwards

_L_NO_ROUTE = cython.declare(cython.Py_ssize_t, layout.LISTENER.offset("no_route"))
_R_TOTAL = cython.declare(cython.Py_ssize_t, layout.ROUTE.offset("rq_total"))
_NO_HEADERS = cython.declare(HeaderBlock, HeaderBlock())


class Routed(Outcome):
    """`share` is what is particular to the chosen cluster, `key` what the route's hash policies make of the request (0:
    nothing), `subset` the metadata of the hosts that it may go to (None: any). `downstream_state` is the downstream
    connection's own: what an HTTP/2 connection knows the request as, None of others."""

    def __init__(self, downstream: DownstreamConnection) -> None:
        Outcome.__init__(self, downstream)
        self.peer = downstream.forwarded_for
        self.share = None
        self.shadows = None
        self.body = None
        self.request_ended = False
        self.terminates = False
        self.forwards = UNLIMITED
        self.key = 0
        self.subset = None

    def filtered(self):
        route: Route = self.route
        head: RequestHead = self.head
        if route is None:
            self.listener.stats.up(_L_NO_ROUTE)
            refused = head.upgrade is not None and not settle_upgrade(self.listener, None, head)
            self.fail(errors.NO_CONNECT if refused else errors.NO_ROUTE, "")
            return
        if route.stats is not None:
            route.stats.up(_R_TOTAL)
        if head.upgrade is not None and not settle_upgrade(self.listener, route, head):
            self.fail(errors.NO_CONNECT, "")
            return
        if route.direct_status or route.redirect is not None:
            self._answer_by(route)
            return
        self._choose_cluster(route)
        if self.cluster is None:
            self.fail(errors.NO_CLUSTER, "")
            return
        if self.listener.carries != self.cluster.carries:
            self.fail(errors.OTHER_PROTOCOL, "")
            return
        if not self.cluster.admit():
            self.fail(errors.OVERFLOW, "")
            return
        self.admitted = True
        if self.edits is None:
            self.edit()
        self._edit_by(route)
        if head.grpc:
            self.start_call_clock()
        if route.hash_policies is not None:
            policies: HashPolicies = route.hash_policies
            self.key = policies.key(head, self.edits, self.peer, self.context.random)
            if policies.cookie is not None:
                self.answer().add(b"set-cookie", policies.cookie)
        if head.upgrade is not None:
            self.terminates = route.terminates and head.method == b"CONNECT"
            ask_upgrade(self.edits, head)
        elif route.mirrors is not None:
            self._mirror(route)
        if head.body_length < 0 and self.listener.enable_trailers and self.cluster.enable_trailers:
            self.edits.keep = 1 << TRAILER
        if self.filters is not None:
            self.active()  # they may have taken their time
        if self.request_ended:
            self.start_clock()
        self.rearm(self.last_activity)
        self.forward()

    def edit(self):
        """What every request that goes on gets; where it is not HTTP, nothing."""
        if self.listener.carries is not None:
            self.edits = HeaderEdits.__new__(HeaderEdits) if cython.compiled else HeaderEdits()
            self.edits.extra = b""
            return
        self.edits = request_edits(self.listener, self.head, self.peer)
        if self.forwards != UNLIMITED:
            limit_forwards(self.edits, self.forwards - 1)

    def _answer_by(self, route):
        """The route answers itself."""
        if route.redirect is not None:
            self.answer().put(b"location", route.location(self.head))
            self.edit_answer(_NO_HEADERS)
            self.reply_with(errors.DIRECT, route.redirect.status, b"")
        else:
            self.edit_answer(_NO_HEADERS)
            self.reply_with(errors.DIRECT, route.direct_status, route.direct_body)

    def _choose_cluster(self, route):
        index: cython.Py_ssize_t
        name: str
        if route.cluster_header:
            name = route.cluster_of(self.head, self.edits)
        else:
            index = route.pick(self.context.random)
            name = route.clusters[index]
            self.share = route.share(index)
        self.subset = route.metadata_match
        if self.share is not None and self.share.metadata_match is not None:
            self.subset = self.share.metadata_match
        self.cluster = self.context.clusters.get(name)

    def _edit_by(self, route):
        record: StreamRecord = None
        if (route.request_edits is not None or self.share is not None) and edits_need_record(route, self.share):
            record = self.described()
        route_edits(self.edits, self.head, route, self.share, record)

    def edit_answer(self, block):
        """What the route changes in an answer with these headers."""
        if self.share is not None and self.share.response_edits is not None:
            self._apply(self.share.response_edits, self.answer(), block)
        if self.route.response_edits is not None:
            self._apply(self.route.response_edits, self.answer(), block)

    def _apply(self, mutations, edits, block):
        mutations.apply(edits, block, None if mutations.constant else self.described())

    def _mirror(self, route):
        mirror: Mirror
        cluster: Cluster
        shadow: Shadow
        for mirror in route.mirrors:
            cluster = self.context.clusters.get(mirror.cluster)
            if cluster is None or cluster.carries != self.listener.carries:
                continue
            if not mirror.fraction.drawn(self.context.random):
                continue
            shadow = Shadow(self.context, cluster, route.timeout, self.preface(cluster))
            # Elsewhere than in HTTP the authority is the service that is called.
            suffix: cython.bint = mirror.append_suffix and self.listener.carries is None
            shadow.came_by_http2 = self.downstream_state is not None
            if shadow.start(self.head, self.edits, suffix, self.body, self.request_ended):
                if self.shadows is None:
                    self.shadows = []
                self.shadows.append(shadow)

    def preface(self, cluster):
        """What a connection to this cluster begins with: the client's addresses, or nothing."""
        if not cluster.proxy_protocol:
            return b""
        return encode(cluster.proxy_protocol, self.downstream.peer_address(), self.downstream.local_address())

    # -- for filters ---------------------------------------------------------------------------------------------------

    def reroute(self):
        self.head = edited_request(self.head, self.edits, self.context.writer)
        self.edits = HeaderEdits()
        if self.record is not None:
            self.record.head = self.head
        self.route = self.listener.routes.route(self.head) if self.listener.routes is not None else None

    def cluster_named(self, name):
        return self.context.clusters.get(name)

    def timers(self):
        return self.context.wheel

    def dice(self):
        return self.context.random

    # -- for the stream ------------------------------------------------------------------------------------------------

    def forward(self):
        """The request is ready to go to `cluster`."""
        raise NotImplementedError

    def fail(self, error, detail):
        """It cannot go on."""
        raise NotImplementedError

    def reply_with(self, error, status, body):
        """It is answered here."""
        raise NotImplementedError
