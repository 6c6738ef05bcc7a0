"""Where a request arrives: the same question, asked of the sidecar behind an endpoint of each cluster."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tage.cli.explain.mesh import Source
from tage.sidecar.explain.apart import Question
from tage.sidecar.explain.calls import method_of
from tage.sidecar.explain.findings import Cluster, Explanation, Share
from tage.sidecar.explain.trace import explain

MAX_ARRIVALS = 8
"""Clusters of one route that are followed."""


def follow(answer: Explanation, source: Source) -> Explanation:
    """With what the callees' sidecars do: of each cluster that takes a share, the first endpoint's."""
    return msgspec.structs.replace(answer, arrivals=list(_arrivals(answer, source)))


def _arrivals(answer: Explanation, source: Source) -> Iterator[Explanation]:
    shares = [share for share in answer.route.shares if share.weight] if answer.route is not None else []
    for share in shares[:MAX_ARRIVALS]:
        question = _question(share, answer.cluster_of(share))
        config = source.callee(question.listener) if question is not None else None
        if question is not None and config is not None:
            yield msgspec.structs.replace(explain(config.sections, question), scope=config.sidecar)


def _question(share: Share, cluster: Cluster) -> Question | None:
    """What the upstream gets, as a question. None: nothing arrives there, or no request."""
    endpoint = next((each for each in cluster.endpoints if each.usable), None)
    request = share.request
    if endpoint is None or request is None or request.method == "CONNECT":
        return None
    host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    headers = [(each.name, each.value) for each in request.headers if each.change != "removed"]
    tls = cluster.raw.get("tls")
    if request.protocol:
        target = f"{request.protocol}://{request.authority}/{method_of(request.path)}"
    else:
        target = f"{'https' if tls else 'http'}://{request.authority}{request.path}"
    return Question(
        target,
        request.method,
        headers,
        listener=f"{host}:{endpoint.port}",
        sni=tls.get("sni", "") if tls else "",
    )
