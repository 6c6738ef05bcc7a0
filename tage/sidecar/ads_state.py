"""The agent's side of ADS, state of the world, without a socket: responses and results in, requests and updates out.

What happens to a response::

    response --translate--> staged --closed?--> Update --Result ""--> in force, ACK
                 |                                 `----Result error--> NACK, kept to be tried again
                 `--problems--> NACK, what was there before stays

- A response is acknowledged when the plan that contains it is in force in all live workers, not before. At most one
  update is under way; what arrives meanwhile is staged, and a newer response of a type takes the older one's place.
- An update is sent when its plan is *closed*: every cluster has its endpoints, every listener its routes, or the fetch
  timeout has passed, after which they count as empty. Clusters that still wait hold back listeners and routes, which
  may name them, but no endpoints of others; listeners that still wait hold back nothing else.
- Clusters and listeners come whole: what is missing was removed. But a cluster stays while a route in force names it.
  Endpoints and routes come in parts: what is missing did not change. They go when nobody asks for them any more.
- Where several types were refused together, each is tried alone, endpoints first, to find out whose fault it is.
  What was refused is tried again later: a port may be free then, a worker healthy.
- A file that has changed (a certificate, a filter's code) goes out in an update of its own, so that one that is refused
  holds up nothing else: what was there before stays in force, and it is tried again later.
- When the stream breaks nothing changes; the new stream's first requests name the versions in force.
- While a plan of an earlier agent is in force, updates only add, until clusters and listeners have been received: then
  one full update replaces it.

A request that only changes the names asked for has to carry the latest nonce, or servers take it for stale, also when
that response is not acknowledged yet; its `version` is then still the one in force. It may cross a response on its way
and be stale when it arrives: if the response after it lacks what it asked for, the names are repeated with the new
nonce. Waiting for the acknowledgement, which repeats them too, would not do: that may wait for what they name.

Static configuration uses the same machine, with nothing to subscribe to. Times are seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from tage.sidecar import plan
from tage.sidecar.compose import (
    ClusterRecord,
    Composition,
    EndpointsRecord,
    ListenerRecord,
    Need,
    Resources,
    RoutesRecord,
    SecretRecord,
    compose,
    difference,
    eds_names,
    rds_names,
)
from tage.sidecar.translate.draft import ClusterDraft, Dns, FileSection, ListenerDraft, SecretDraft
from tage.sidecar.translate.problem import Problem, TranslateError

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"

RETRY_FIRST = 5.0
"""Seconds until what was refused is tried again; doubled each time up to `RETRY_MAX`."""
RETRY_MAX = 300.0

Decode = Callable[[str, Sequence[Any]], dict[str, Any]]
"""(type URL, resources of a response) -> draft or section by name. Raises `TranslateError`."""


class Request(msgspec.Struct, frozen=True):
    """Send this DiscoveryRequest. `names` empty: everything, for clusters and listeners. `error`: a NACK's detail."""

    type_url: str
    version: str = ""
    nonce: str = ""
    names: tuple[str, ...] = ()
    error: str = ""


class Note(msgspec.Struct, frozen=True):
    """Tell the operator."""

    text: str


Action = Request | plan.Update | Note

R = TypeVar("R", ListenerRecord, ClusterRecord, RoutesRecord, EndpointsRecord)


@dataclass(slots=True, eq=False)
class _Staged(Generic[R]):
    """A response that is not in force yet."""

    version: str
    nonce: str
    stream: int
    resources: dict[str, R]
    refusals: int = 0
    retry_at: float = 0.0
    """0: it can be tried now."""


@dataclass(slots=True)
class _Type(Generic[R]):
    url: str
    whole: bool
    """A response holds all resources there are."""
    record: Callable[[Any], R]
    accepted: dict[str, R] = field(default_factory=dict)
    """In force."""
    version: str = ""
    """Of what is in force."""
    received: bool = False
    """Whether anything ever came into force, nothing included."""
    nonce: str = ""
    """Of the stream's latest response."""
    asked: tuple[str, ...] | None = None
    """Names of the stream's latest request; None: none was sent."""
    unanswered: frozenset[str] = frozenset()
    """Names added to those asked for since the stream's latest response."""
    staged: _Staged[R] | None = None
    error: str = ""
    """Why the latest response was refused."""

    def target(self, *, staged: bool) -> Mapping[str, R]:
        """What would be in force, with or without what is staged."""
        if not staged or self.staged is None:
            return self.accepted
        return self.staged.resources if self.whole else {**self.accepted, **self.staged.resources}


@dataclass(slots=True)
class _UnderWay:
    update: plan.Update
    composition: Composition
    staged: dict[str, _Staged[Any]]
    """By type URL: what it brings into force."""
    renewing: dict[plan.SectionKey, SecretRecord] = field(default_factory=dict)
    """The same of files."""
    protocols: list[SecretRecord] | None = None
    """The same of those with protocols, all of them."""


class AdsState:
    def __init__(
        self,
        decode: Decode,
        *,
        in_force: int = 0,
        subscribe: Iterable[str] = (CLUSTER, LISTENER),
        listeners: Iterable[ListenerDraft] = (),
        clusters: Iterable[ClusterDraft] = (),
        overload: plan.Overload | None = None,
        protocols: Iterable[plan.ProtocolCode] = (),
    ) -> None:
        """`in_force` is `plan.Hello.version`; `listeners` and `clusters` are static ones."""
        self._decode = decode
        self._overload = overload
        self._static_listeners = {draft.listener.name: ListenerRecord(draft) for draft in listeners}
        self._static_clusters = {draft.cluster.name: ClusterRecord(draft) for draft in clusters}
        self._former: tuple[dict[str, ListenerRecord], dict[str, ClusterRecord]] | None = None
        """The static configuration in force, while another one is on its way."""
        self._endpoints = _Type(ENDPOINTS, False, EndpointsRecord.of)
        self._clusters = _Type(CLUSTER, True, ClusterRecord)
        self._routes = _Type(ROUTES, False, RoutesRecord)
        self._listeners = _Type(LISTENER, True, ListenerRecord)
        self._types: dict[str, _Type[Any]] = {
            each.url: each for each in (self._clusters, self._endpoints, self._listeners, self._routes)
        }
        self._wildcards = frozenset(subscribe)
        self._resolved: dict[str, EndpointsRecord] = {}
        self._renewed: dict[plan.SectionKey, SecretRecord] = {}
        self._renewing: dict[plan.SectionKey, SecretRecord] = {}
        """Not in force yet."""
        self._renewal_at = 0.0
        """When refused ones are tried again; 0: they can be tried now."""
        self._renewal_refusals = 0
        self._protocols = [SecretRecord(section) for section in protocols]
        self._next_protocols: list[SecretRecord] | None = None
        """Not in force yet."""
        self._protocols_at = 0.0
        """As `_renewal_at`."""
        self._protocols_refusals = 0
        self._stream = 0
        self.connected_now = False
        self._waiting: dict[Need, float] = {}
        """What is missing, and since when."""
        self._given_up: set[tuple[str, str]] = set()
        self._under_way: _UnderWay | None = None
        self._one_by_one = False
        self._quiet_until = 0.0
        """Until then nothing is sent that no response asks for, because it was refused."""
        self._quiet_refusals = 0
        self._complete = in_force == 0
        """Whether the plan in force is ours as a whole."""
        self._first = in_force == 0
        self._last_version = in_force
        self.version = in_force
        """Of the plan in force."""
        self.sections: dict[plan.SectionKey, bytes] = {}
        """Those of the plan in force that this agent sent."""
        self._clusters_in_force: dict[str, ClusterRecord] = {}

    # -- events --------------------------------------------------------------------------------------------------------

    def connected(self, now: float) -> list[Action]:
        """A stream was opened; with what it is asked first."""
        self._stream += 1
        self.connected_now = True
        self._waiting = dict.fromkeys(self._waiting, now)  # nobody could have answered before
        for each in self._types.values():
            each.nonce, each.asked, each.unanswered = "", None, frozenset()
        return self._step(now)

    def disconnected(self) -> None:
        self.connected_now = False

    def response(self, type_url: str, version: str, nonce: str, resources: Sequence[Any], now: float) -> list[Action]:
        kind = self._types.get(type_url)
        if kind is None:
            return [Note(f"the control plane sent resources of type {type_url!r}, which nobody asked for")]
        kind.nonce = nonce
        unanswered, kind.unanswered = kind.unanswered, frozenset()
        try:
            decoded = self._decode(type_url, resources)
            self._check_static(kind, decoded)
        except TranslateError as error:
            kind.error = str(error)
            return self._step(now, {type_url: kind.error})
        records = {name: kind.record(draft) for name, draft in decoded.items()}
        if not kind.whole and kind.staged is not None:
            records = {**kind.staged.resources, **records}
        kind.staged = _Staged(version, nonce, self._stream, records)
        self._retry_staged()
        return self._step(now, repeat=None if unanswered <= records.keys() else type_url)

    def _retry_staged(self) -> None:
        """Something has come: it may be what a refused response was waiting for."""
        for each in self._types.values():
            if each.staged is not None:
                each.staged.retry_at = 0.0

    def resolved(self, cluster: str, endpoints: list[plan.Endpoint], now: float) -> list[Action]:
        """The addresses of a DNS cluster."""
        self._resolved[cluster] = EndpointsRecord(endpoints)
        self._quiet_until = 0.0
        return self._step(now)

    def result(self, version: int, error: str, now: float) -> list[Action]:
        """What became of an update; see `plan.Result`."""
        done = self._under_way
        if done is None or done.update.version != version:
            return []
        self._under_way = None
        if error and done.renewing:
            return self._renewal_refused(done, error, now)
        if error and done.protocols is not None:
            return self._protocols_refused(error, now)
        if error:
            if self._former is not None:
                self._static_listeners, self._static_clusters = self._former
                self._former = None
                return [Note(f"the new configuration is refused: {error}"), *self._step(now)]
            return self._refused(done, error, now)
        self.version = version
        if done.update.full:
            self._complete = True
        self._first = False
        self._quiet_refusals = 0
        self._adopt(done.renewing)
        self._adopt_protocols(done.protocols)
        self.sections = done.composition.sections
        self._clusters_in_force = done.composition.clusters
        return [*self._step(now, self._accept(done.staged)), *self._settled()]

    def reloaded(
        self, listeners: Iterable[ListenerDraft], clusters: Iterable[ClusterDraft], now: float
    ) -> list[Action]:
        """The static configuration is another now; if it is refused, the former one stays."""
        if self._former is None:
            self._former = self._static_listeners, self._static_clusters
        self._static_listeners = {draft.listener.name: ListenerRecord(draft) for draft in listeners}
        self._static_clusters = {draft.cluster.name: ClusterRecord(draft) for draft in clusters}
        for kind, static in ((self._listeners, self._static_listeners), (self._clusters, self._static_clusters)):
            taken = sorted(kind.accepted.keys() & static.keys())
            if taken:
                self._static_listeners, self._static_clusters = self._former
                self._former = None
                return [Note(f"the new configuration is refused: the control plane has sent {taken[0]!r} as well")]
        self._quiet_until = 0.0
        return [*self._step(now), *self._settled()]

    def _settled(self) -> list[Action]:
        """What there is to say when a new static configuration needs no update at all."""
        if self._former is None or self._under_way is not None or self._waiting:
            return []
        self._former = None
        return [Note("the new configuration is in force")]

    def renewed(self, section: FileSection, now: float) -> list[Action]:
        """The files of a section have changed, and this is what they hold now."""
        record = SecretRecord(section)
        self._renewing[record.key] = record
        self._renewal_at, self._renewal_refusals = 0.0, 0
        self._retry_staged()
        return self._step(now)

    def protocols_changed(self, sections: Iterable[plan.ProtocolCode], now: float) -> list[Action]:
        """These are all files with protocols, as they are now."""
        self._next_protocols = [SecretRecord(section) for section in sections]
        self._protocols_at, self._protocols_refusals = 0.0, 0
        self._quiet_until = 0.0
        self._retry_staged()
        return self._step(now)

    def tick(self, now: float) -> list[Action]:
        """To be called at the start and when `deadline` has come."""
        for need, since in list(self._waiting.items()):
            if need.fetch_timeout and self.connected_now and now >= since + need.fetch_timeout / 1000:
                self._given_up.add((need.kind, need.name))
        return self._step(now)

    def deadline(self) -> float | None:
        due = [each.staged.retry_at for each in self._types.values() if each.staged and each.staged.retry_at]
        if self._quiet_until:
            due.append(self._quiet_until)
        if self._renewing and self._renewal_at:
            due.append(self._renewal_at)
        if self._next_protocols is not None and self._protocols_at:
            due.append(self._protocols_at)
        if self.connected_now:
            due += [
                since + need.fetch_timeout / 1000
                for need, since in self._waiting.items()
                if need.fetch_timeout and (need.kind, need.name) not in self._given_up
            ]
        return min(due, default=None)

    # -- what others ask -----------------------------------------------------------------------------------------------

    @property
    def update_under_way(self) -> bool:
        return self._under_way is not None

    @property
    def dns(self) -> dict[str, Dns]:
        """The names to resolve, by cluster."""
        return {
            name: cluster.draft.dns for name, cluster in self._all_clusters().items() if cluster.draft.dns is not None
        }

    @property
    def secrets(self) -> list[SecretDraft]:
        """What came from files and may change there; the same one may stand there more than once."""
        return [secret for owner in self._secret_owners() for secret in owner.draft.secrets]

    def _secret_owners(self) -> Iterator[ListenerRecord | ClusterRecord]:
        yield from self._static_listeners.values()
        yield from self._listeners.accepted.values()
        yield from self._staged(self._listeners)
        yield from self._all_clusters().values()

    def status(self) -> dict[str, dict[str, Any]]:
        """Per type, for the admin API."""
        return {
            each.url.rpartition(".")[2]: {
                "version": each.version,
                "resources": len(each.accepted),
                "waiting": each.staged is not None,
                "error": each.error,
            }
            for each in self._types.values()
            if each.asked is not None or each.received
        }

    # -- one step ------------------------------------------------------------------------------------------------------

    def _step(self, now: float, answers: Mapping[str, str] | None = None, repeat: str | None = None) -> list[Action]:
        """Sends what can be sent. `answers`: an ACK (empty) or NACK (the reason) per type URL. `repeat`: a type whose
        names have to be said once more."""
        answered = dict(answers or {})
        notes: list[Action] = [
            Note(f"{self._types[url].url.rpartition('.')[2]}: refused: {reason}")
            for url, reason in answered.items()
            if reason
        ]
        self._note_time(now)
        updates: list[Action] = []
        while self._under_way is None:
            proposed = self._propose()
            if proposed is None:
                break
            if isinstance(proposed, plan.Update):
                updates.append(proposed)
            else:
                answered.update(proposed)
        self._prune()
        return [*notes, *self._requests(answered, repeat), *updates]

    def _propose(self) -> plan.Update | dict[str, str] | None:
        """The next update; or the answers to what came into force without one; or None."""
        renewal = self._propose_renewal() or self._propose_protocols()
        if renewal is not None:
            return renewal
        for types in self._candidates():
            found = self._compose(types)
            if found.missing:
                continue
            staged = {url: kind.staged for url in types if (kind := self._types[url]).staged is not None}
            whole = all(url in staged or self._types[url].received for url in self._wildcards)
            full = self._first or (not self._complete and whole)
            old = {} if full else self.sections
            upserts, removed = difference(old, found.sections)
            if not self._complete:
                removed = []
            if self._first and all(kind == "protocol" for kind, _, _ in upserts):
                upserts = []  # nobody asks for any
            if upserts or removed or (full and not self._first):
                self._last_version += 1
                update = plan.Update(self._last_version, full, upserts, removed)
                self._under_way = _UnderWay(update, found, staged)
                return update
            if staged and (self._one_by_one or types != (ENDPOINTS,) or not self._ready(CLUSTER)):
                # Endpoints that change nothing yet, because their clusters wait for others, wait with them.
                self._clusters_in_force = found.clusters
                return self._accept(staged)
        self._one_by_one = False
        return None

    def _propose_renewal(self) -> plan.Update | None:
        """What files hold now, for the plan in force. Before there is one of ours they are a part of the first."""
        if not self._renewing or self._renewal_at:
            return None
        if self._first or not self._complete:
            self._adopt(self._renewing)
            return None
        found = self._compose((), {**self._renewed, **self._renewing})
        upserts, removed = difference(self.sections, found.sections)
        if found.missing:
            return None
        if not upserts and not removed:  # they belong to what is not in force
            self._adopt(self._renewing)
            return None
        self._last_version += 1
        update = plan.Update(self._last_version, False, upserts, removed)
        self._under_way = _UnderWay(update, found, {}, dict(self._renewing))
        return update

    def _adopt(self, renewing: Mapping[plan.SectionKey, SecretRecord]) -> None:
        self._renewed.update(renewing)
        self._renewing = {key: record for key, record in self._renewing.items() if self._renewed.get(key) is not record}

    def _renewal_refused(self, done: _UnderWay, error: str, now: float) -> list[Action]:
        self._renewal_refusals += 1
        self._renewal_at = now + _retry_delay(self._renewal_refusals)
        what = ", ".join(f"{kind} {name}" for kind, name in done.renewing)
        return [Note(f"{what}: refused: {error}; what was there before stays in force"), *self._step(now)]

    def _propose_protocols(self) -> plan.Update | None:
        """As `_propose_renewal`: what is refused of it is refused alone."""
        protocols = self._next_protocols
        if protocols is None or self._protocols_at:
            return None
        if self._first or not self._complete:
            self._adopt_protocols(protocols)
            return None
        found = self._compose((), protocols=protocols)
        upserts, removed = difference(self.sections, found.sections)
        if found.missing:
            return None
        if not upserts and not removed:
            self._adopt_protocols(protocols)
            return None
        self._last_version += 1
        update = plan.Update(self._last_version, False, upserts, removed)
        self._under_way = _UnderWay(update, found, {}, protocols=protocols)
        return update

    def _adopt_protocols(self, protocols: list[SecretRecord] | None) -> None:
        if protocols is not None:
            self._protocols = protocols
            if self._next_protocols is protocols:
                self._next_protocols = None

    def _protocols_refused(self, error: str, now: float) -> list[Action]:
        self._protocols_refusals += 1
        self._protocols_at = now + _retry_delay(self._protocols_refusals)
        return [Note(f"protocols: refused: {error}; those that were there before stay in force"), *self._step(now)]

    def _candidates(self) -> Iterator[tuple[str, ...]]:
        """Sets of staged types to bring into force together, the most desired first."""
        ready = tuple(url for url in (ENDPOINTS, CLUSTER, ROUTES, LISTENER) if self._ready(url))
        if self._one_by_one:
            for url in ready:
                yield (url,)
            return
        if ready:
            yield ready
            if LISTENER in ready:
                yield tuple(url for url in ready if url != LISTENER)
            if CLUSTER in ready and ENDPOINTS in ready:
                yield (ENDPOINTS,)
        if not self._quiet_until:
            yield ()

    def _ready(self, url: str) -> bool:
        staged = self._types[url].staged
        return staged is not None and not staged.retry_at

    def _compose(
        self,
        types: Iterable[str],
        renewed: Mapping[plan.SectionKey, SecretRecord] | None = None,
        protocols: list[SecretRecord] | None = None,
    ) -> Composition:
        chosen = set(types)
        return compose(
            Resources(
                listeners={**self._static_listeners, **self._listeners.target(staged=LISTENER in chosen)},
                clusters={**self._static_clusters, **self._clusters.target(staged=CLUSTER in chosen)},
                routes=self._routes.target(staged=ROUTES in chosen),
                endpoints=self._endpoints.target(staged=ENDPOINTS in chosen),
                resolved=self._resolved,
                in_force=self._clusters_in_force,
                given_up=frozenset(self._given_up),
                replacing=not self._complete,
                renewed=self._renewed if renewed is None else renewed,
                overload=self._overload,
                protocols=self._protocols if protocols is None else protocols,
            )
        )

    def _accept(self, taken: Mapping[str, _Staged[Any]]) -> dict[str, str]:
        """They are in force. Returns the ACKs."""
        acks = {}
        for url, staged in taken.items():
            kind = self._types[url]
            kind.accepted = staged.resources if kind.whole else {**kind.accepted, **staged.resources}
            kind.version, kind.received = staged.version, True
            if kind.staged is staged:
                kind.staged = None
            if staged.stream == self._stream and staged.nonce == kind.nonce:
                kind.error = ""
                acks[url] = ""
        return acks

    def _refused(self, done: _UnderWay, error: str, now: float) -> list[Action]:
        current = {url: staged for url, staged in done.staged.items() if self._types[url].staged is staged}
        if not done.staged:
            self._quiet_refusals += 1
            self._quiet_until = now + _retry_delay(self._quiet_refusals)
            return [Note(f"update {done.update.version} was refused: {error}"), *self._step(now)]
        if len(done.staged) > 1:
            self._one_by_one = True
            return self._step(now)
        nacks = {}
        for url, staged in current.items():
            staged.refusals += 1
            staged.retry_at = now + _retry_delay(staged.refusals)
            if staged.stream == self._stream and staged.nonce == self._types[url].nonce:
                self._types[url].error = error
                nacks[url] = error
        return self._step(now, nacks)

    def _requests(self, answers: Mapping[str, str], repeat: str | None) -> Iterator[Request]:
        if not self.connected_now:
            return
        for url, kind in self._types.items():
            names = self._names(url)
            first = kind.asked is None and (url in self._wildcards or names)
            changed = kind.asked is not None and names != kind.asked
            if first or changed or url in answers or url == repeat:
                if kind.asked is not None:
                    kind.unanswered |= set(names).difference(kind.asked)
                kind.asked = names
                yield Request(url, kind.version, kind.nonce, names, answers.get(url, ""))

    # -- names ---------------------------------------------------------------------------------------------------------

    def _names(self, url: str) -> tuple[str, ...]:
        """What to ask for: everything that anything in force or staged needs."""
        if url == ENDPOINTS:
            return tuple(sorted(eds_names(self._all_clusters().values()) | eds_names(self._staged(self._clusters))))
        if url == ROUTES:
            known = [*self._static_listeners.values(), *self._listeners.accepted.values()]
            return tuple(sorted(rds_names(known) | rds_names(self._staged(self._listeners))))
        return ()

    def _all_clusters(self) -> dict[str, ClusterRecord]:
        staged = self._clusters.staged
        return {
            **self._clusters_in_force,
            **self._static_clusters,
            **self._clusters.accepted,
            **(staged.resources if staged is not None else {}),
        }

    @staticmethod
    def _staged(kind: _Type[R]) -> Iterable[R]:
        return kind.staged.resources.values() if kind.staged is not None else ()

    def _note_time(self, now: float) -> None:
        """Starts the clocks of what is missing now, forgets the others'; takes back delays that are over."""
        if now >= self._quiet_until:
            self._quiet_until = 0.0
        if now >= self._renewal_at:
            self._renewal_at = 0.0
        if now >= self._protocols_at:
            self._protocols_at = 0.0
        for each in self._types.values():
            if each.staged is not None and now >= each.staged.retry_at:
                each.staged.retry_at = 0.0
        missing = self._compose(self._types).missing
        self._waiting = {need: self._waiting.get(need, now) for need in missing}

    def _prune(self) -> None:
        """Forgets endpoints and routes that nobody asks for, and addresses of clusters that are gone."""
        for kind, label in ((self._endpoints, "endpoints"), (self._routes, "routes")):
            wanted = set(self._names(kind.url))
            for name in [name for name in kind.accepted if name not in wanted]:
                del kind.accepted[name]
            self._given_up = {(what, name) for what, name in self._given_up if what != label or name in wanted}
        names = self.dns
        self._resolved = {name: record for name, record in self._resolved.items() if name in names}
        if self._renewed or self._renewing:
            known = {record.key for secrets in self._secret_owners() for record in secrets.secrets}
            self._renewed = {key: record for key, record in self._renewed.items() if key in known}
            self._renewing = {key: record for key, record in self._renewing.items() if key in known}

    def _check_static(self, kind: _Type[Any], decoded: Iterable[str]) -> None:
        static: set[str] = set()
        if kind.url == LISTENER:
            static.update(self._static_listeners)
        elif kind.url == CLUSTER:
            static.update(self._static_clusters)
        taken = [name for name in decoded if name in static]
        if taken:
            raise TranslateError(
                [Problem(name, "is a name in static_resources, which cannot change") for name in taken]
            )


def _retry_delay(refusals: int) -> float:
    return min(RETRY_MAX, RETRY_FIRST * 2.0 ** min(refusals - 1, 10))
