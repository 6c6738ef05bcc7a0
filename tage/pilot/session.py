"""One sidecar's side of ADS, state of the world, without a socket: requests and views in, responses out.

The protocol (envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol) per type, and what is done here about it:

- The client names what it wants; for clusters and listeners naming nothing means everything. The first request is
  always answered. A request that carries the nonce of our last response is its ACK or, with an error, its NACK; with
  any other nonce it is stale and ignored: the answer to our last response is still to come and repeats the names.
- One response per type is in flight, unless the client asks for further names before it answers: a client that takes a
  cluster only with its endpoints has to. Nothing is queued meanwhile: what to send is found by comparing what
  the client was last told with what it is to have *now*, so a slow client gets fewer and newer responses.
- A response about clusters or listeners holds all of them (what is missing is deleted). One about endpoints or routes
  holds those that changed.
- After a NACK the same is not sent again; the refused resources go out with the next change of their type.

A change reaches the client in the order clusters, endpoints, listeners, routes, so that no route leads to a cluster
that is not there yet: listeners and routes wait until the client has answered the clusters and endpoints and has asked
for the endpoints of all clusters, for at most `HOLD` seconds. Conversely a cluster that is going away stays among the
sent ones until the listeners and routes that may name it have been replaced and acknowledged.

A cluster that was changed is built anew by Envoy and waits for its endpoints, so they are sent again after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2

from tage.pilot.generate import CLUSTER, ENDPOINT, LISTENER, ROUTE, TYPES
from tage.pilot.world import EMPTY, Packed, ResourceSet, View

HOLD = 5.0
"""Seconds that listeners and routes wait for a client that does not answer clusters or endpoints."""

MAX_TYPES = 32
"""Types that one stream may ask for. Far above what there is; it bounds the state of a stream."""

_WHOLE = frozenset({CLUSTER, LISTENER})
"""Types of which a response holds all resources."""

_CONTROL_PLANE = base_pb2.ControlPlane(identifier="tage")


class ProtocolError(Exception):
    """The client broke the protocol; the stream ends with this reason."""


def utcnow() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class _Subscription:
    """One type of one stream."""

    since: datetime
    """When it came in or out of sync."""
    names: frozenset[str] | None = frozenset()
    """What the client asks for; None: everything."""
    told: ResourceSet = EMPTY
    """What the client was last told, all layers; compared with what it is to have."""
    due: frozenset[str] = frozenset()
    """Names to send whether they changed or not."""
    must_answer: bool = True
    """The client waits for a response even if it is to be empty."""
    nonce: str = ""
    in_flight: frozenset[str] | None = None
    """Names in the responses that the client has not answered yet."""
    asked: bool = False
    """The client asked for more names: answered even while a response is in flight, for it may need them to answer."""
    refused: frozenset[str] = frozenset()
    """Names in the last response, if it was NACKed."""
    reason: str = ""
    sent_version: str = ""
    acked_version: str = ""
    synced: bool = False

    def wants(self, name: str) -> bool:
        return self.names is None or name in self.names

    def among(self, names: frozenset[str]) -> frozenset[str]:
        return names if self.names is None else names & self.names


@dataclass(slots=True)
class Session:
    """`next_response` is to be called until it returns None, after each `on_request`, each `set_view`, and when `wait`
    seconds have passed. `now` is seconds of a monotonic clock."""

    view: View
    clock: Callable[[], datetime] = utcnow
    _types: dict[str, _Subscription] = field(default_factory=dict)
    _nonces: int = 0
    _held_since: float | None = None

    def set_view(self, view: View) -> None:
        self.view = view

    def on_request(self, request: discovery_pb2.DiscoveryRequest) -> str:
        """Returns the reason if the request refuses a response, else an empty string. Raises `ProtocolError`."""
        if not request.type_url:
            raise ProtocolError("a DiscoveryRequest over ADS has a type_url")
        subscription = self._types.get(request.type_url)
        if subscription is None:
            if len(self._types) >= MAX_TYPES:
                raise ProtocolError(f"more than {MAX_TYPES} types on one stream")
            subscription = _Subscription(self.clock())
            subscription.names = self._names(request, None)
            subscription.due = subscription.names or frozenset()
            self._types[request.type_url] = subscription
            return ""
        # A nonce of a former stream comes with the first request only, which is answered above.
        if request.response_nonce != subscription.nonce:
            return ""
        return self._on_current(request, subscription)

    def next_response(self, now: float) -> bytes | None:
        """The next serialized DiscoveryResponse, if anything is to be sent now."""
        held_since, self._held_since = self._held_since, None
        for type_url in (*TYPES, *(known for known in self._types if known not in TYPES)):
            subscription = self._types.get(type_url)
            if subscription is not None and (subscription.in_flight is None or subscription.asked):
                response = self._respond(type_url, subscription, held_since, now)
                if response is not None:
                    self._held_since = held_since
                    return response
        self._note_sync()
        return None

    def wait(self, now: float) -> float | None:
        """Seconds until `next_response` may have something to send without any request or view; None: never."""
        return None if self._held_since is None else max(0.0, self._held_since + HOLD - now)

    def status(self) -> dict[str, dict[str, Any]]:
        """Per type, by its abbreviation."""
        return {
            TYPES.get(type_url, type_url): {
                "sent": s.sent_version,
                "acked": s.acked_version,
                "nacked": s.reason,
                "synced": s.synced,
                "since": s.since.isoformat(timespec="milliseconds"),
            }
            for type_url, s in self._types.items()
        }

    # -- requests ------------------------------------------------------------------------------------------------------

    def _on_current(self, request: discovery_pb2.DiscoveryRequest, subscription: _Subscription) -> str:
        before, names = subscription.names, self._names(request, subscription)
        waiting = subscription.in_flight is not None
        refused = request.HasField("error_detail")
        current = request.version_info == subscription.sent_version
        # A client that takes its time over a response may change its names meanwhile: with our latest nonce, but with
        # the version before. It may also take a refusal back.
        accepted = (current or names == before) if waiting else (current and bool(subscription.reason))
        if refused:
            subscription.reason = request.error_detail.message or "refused without a reason"
            subscription.refused |= subscription.in_flight or frozenset()
            subscription.in_flight = None
        elif accepted:
            subscription.acked_version = subscription.sent_version
            subscription.reason = ""
            subscription.refused = frozenset()
            subscription.in_flight = None
        elif names == before and subscription.nonce:
            # Nothing new, not an ACK: the client asks once more, as Envoy does for a cluster that it builds anew.
            subscription.due |= names or frozenset()
            subscription.must_answer = True
        if names != before:
            subscription.names = names
            added = (names or frozenset()) - (before or frozenset())
            subscription.due |= added
            subscription.must_answer |= names is None
            subscription.asked = bool(added)
        self._note_sync()
        return subscription.reason if refused else ""

    def _names(self, request: discovery_pb2.DiscoveryRequest, known: _Subscription | None) -> frozenset[str] | None:
        wildcard = request.type_url in _WHOLE and (known is None or known.names is None)
        if not request.resource_names:
            return None if wildcard else frozenset()
        names = frozenset(request.resource_names)
        if "*" in names:
            return None
        if known is not None and known.names == names:
            return known.names
        # Most clients ask for all there is; they then share one set.
        existing = self._wanted(request.type_url, known).names
        return existing if existing == names else names

    # -- responses -----------------------------------------------------------------------------------------------------

    def _respond(
        self, type_url: str, subscription: _Subscription, held_since: float | None, now: float
    ) -> bytes | None:
        wanted = self._wanted(type_url, subscription)
        changed = subscription.among(wanted.changed_since(subscription.told) | subscription.due)
        subscription.asked = False
        if type_url in _WHOLE:
            names = subscription.among(wanted.names)
            silent = not changed
        else:
            resend = subscription.among(subscription.refused) if changed else frozenset()
            names = frozenset(name for name in changed | resend if wanted.get(name) is not None)
            silent = not names
        if silent and not subscription.must_answer:
            subscription.told = wanted
            subscription.due = frozenset()
            return None
        urgent = subscription.must_answer or subscription.due
        if type_url in (LISTENER, ROUTE) and not urgent and self._unfinished():
            self._held_since = held_since if held_since is not None else now
            if now < self._held_since + HOLD:
                return None
        if type_url == CLUSTER:
            self._endpoints_again(changed)
        return self._response(type_url, subscription, wanted, names)

    def _response(
        self, type_url: str, subscription: _Subscription, wanted: ResourceSet, names: frozenset[str]
    ) -> bytes:
        if subscription.names is None:
            wire = wanted.wire()
        else:
            wire = b"".join(r.wire for name in sorted(names) if (r := wanted.get(name)) is not None)
        self._nonces += 1
        if subscription.synced:
            subscription.synced = False
            subscription.since = self.clock()
        subscription.told = wanted
        subscription.due = frozenset()
        subscription.must_answer = False
        subscription.nonce = str(self._nonces)
        subscription.in_flight = names | (subscription.in_flight or frozenset())
        subscription.refused = frozenset()
        subscription.sent_version = wanted.version
        header = discovery_pb2.DiscoveryResponse(
            version_info=wanted.version,
            type_url=type_url,
            nonce=subscription.nonce,
            control_plane=_CONTROL_PLANE,
        )
        return wire + header.SerializeToString()

    def _wanted(self, type_url: str, subscription: _Subscription | None) -> ResourceSet:
        wanted = self.view.get(type_url, EMPTY)
        if type_url != CLUSTER or subscription is None:
            return wanted
        leaving = [r for r in self._leaving(subscription, wanted) if subscription.wants(r.name)]
        if not leaving or self._routes_replaced():
            return wanted
        if len(leaving) == len(subscription.told.kept.resources) and wanted.shared is subscription.told.shared:
            return subscription.told
        return wanted.keeping(leaving)

    @staticmethod
    def _leaving(subscription: _Subscription, wanted: ResourceSet) -> list[Packed]:
        told = subscription.told
        names = wanted.changed_since(told)
        return [was for name in sorted(names) if wanted.get(name) is None and (was := told.get(name)) is not None]

    def _routes_replaced(self) -> bool:
        """Whether the client is known to run the current listeners and routes."""
        return all(self._settled(type_url) for type_url in (LISTENER, ROUTE) if type_url in self._types)

    def _settled(self, type_url: str) -> bool:
        """Whether the client has accepted all that it is to have of this type."""
        subscription = self._types[type_url]
        if subscription.in_flight is not None or subscription.must_answer or subscription.reason:
            return False
        wanted = self._wanted(type_url, subscription)
        changed = subscription.among(wanted.changed_since(subscription.told) | subscription.due)
        if type_url not in _WHOLE:
            return all(wanted.get(name) is None for name in changed)
        return not changed

    def _unfinished(self) -> bool:
        """Whether listeners and routes have to wait for clusters and endpoints."""
        clusters, endpoints = self._types.get(CLUSTER), self._types.get(ENDPOINT)
        if clusters is None:
            return False
        if clusters.in_flight is not None or endpoints is None or endpoints.in_flight is not None:
            return True
        # All outbound clusters take their endpoints from here: one name for both.
        return not clusters.among(self.view.get(ENDPOINT, EMPTY).names) <= (endpoints.names or frozenset())

    def _endpoints_again(self, clusters: frozenset[str]) -> None:
        endpoints = self._types.get(ENDPOINT)
        if endpoints is not None:
            existing = self.view.get(ENDPOINT, EMPTY).names
            endpoints.due |= endpoints.among(clusters & existing)

    def _note_sync(self) -> None:
        for type_url, subscription in self._types.items():
            synced = self._settled(type_url)
            if synced != subscription.synced:
                subscription.synced = synced
                subscription.since = self.clock()
