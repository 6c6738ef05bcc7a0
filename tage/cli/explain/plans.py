"""Files and xDS resources -> the sections of the plan that a sidecar would make of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from google.protobuf import any_pb2

from tage.cli.errors import CommandError
from tage.sidecar import filter_code, plan
from tage.sidecar.ads_state import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from tage.sidecar.compose import ClusterRecord, EndpointsRecord, ListenerRecord, Resources, RoutesRecord, compose
from tage.sidecar.translate import bootstrap
from tage.sidecar.translate.draft import ClusterDraft
from tage.sidecar.translate.problem import TranslateError
from tage.sidecar.translate.resources import decode

Sections = dict[plan.SectionKey, plan.Section]


def of_bootstrap(file: Path) -> Sections:
    """What stands in an Envoy v3 bootstrap; not what a control plane would add. Raises `CommandError`."""
    try:
        with filter_code.unread():
            loaded = bootstrap.load(file)
    except TranslateError as error:
        raise CommandError(f"{file}: {error.problems[0]}{_more(len(error.problems) - 1)}", 2) from None
    if not loaded.listeners:
        raise CommandError(
            f"{file}: there is no listener in it; what a control plane sends, the running sidecar knows: --sidecar URL",
            2,
        )
    return sections(
        {draft.listener.name: ListenerRecord(draft) for draft in loaded.listeners},
        {draft.cluster.name: ClusterRecord(draft) for draft in loaded.clusters},
        {},
        {},
    )


def of_resources(resources: Mapping[str, Iterable[bytes]]) -> Sections:
    """What a control plane sends: by type URL, each a serialized google.protobuf.Any. Raises `CommandError` for what a
    sidecar would refuse."""
    try:
        with filter_code.unread():
            drafts = {
                url: decode(url, [any_pb2.Any.FromString(each) for each in packed]) for url, packed in resources.items()
            }
    except TranslateError as error:
        raise CommandError(
            f"a sidecar would refuse this: {error.problems[0]}{_more(len(error.problems) - 1)}"
        ) from None
    return sections(
        {name: ListenerRecord(draft) for name, draft in drafts.get(LISTENER, {}).items()},
        {name: ClusterRecord(draft) for name, draft in drafts.get(CLUSTER, {}).items()},
        {name: RoutesRecord(routes) for name, routes in drafts.get(ROUTES, {}).items()},
        {name: EndpointsRecord.of(section) for name, section in drafts.get(ENDPOINTS, {}).items()},
    )


def sections(
    listeners: Mapping[str, ListenerRecord],
    clusters: Mapping[str, ClusterRecord],
    routes: Mapping[str, RoutesRecord],
    endpoints: Mapping[str, EndpointsRecord],
) -> Sections:
    """A plan of all there is. What is missing counts as empty, as it does for a sidecar that has waited for it."""
    resources = Resources(
        listeners, clusters, routes, endpoints, _unresolved(record.draft for record in clusters.values()), {}
    )
    needs = compose(resources).missing
    resources.given_up = frozenset((need.kind, need.name) for need in needs)
    composed = compose(resources)
    return {(kind, name): plan.decode(kind, blob) for (kind, name), blob in composed.sections.items()}


def _unresolved(clusters: Iterable[ClusterDraft]) -> dict[str, EndpointsRecord]:
    """The names of DNS clusters in place of the addresses, which only a running sidecar has."""
    return {draft.cluster.name: EndpointsRecord(draft.dns.names) for draft in clusters if draft.dns is not None}


def _more(count: int) -> str:
    return f" (and {count} more)" if count > 0 else ""
