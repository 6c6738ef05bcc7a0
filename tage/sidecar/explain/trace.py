"""All of it, in a request's order: listener, filter chain, virtual host, rule, and what the rule leads to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from tage.dataplane.native import Random
from tage.dataplane.protocols import errors
from tage.dataplane.routing.destination import Destination
from tage.dataplane.routing.route import Route
from tage.sidecar import plan
from tage.sidecar.explain import clusters, filters, findings, listeners, routes, upstream, words
from tage.sidecar.explain.apart import Question
from tage.sidecar.explain.calls import speaks
from tage.sidecar.explain.clusters import Known
from tage.sidecar.explain.findings import Explanation, Outcome
from tage.sidecar.explain.listeners import Choice
from tage.sidecar.explain.policies import listener as listener_policies
from tage.sidecar.explain.policies import route as route_policies
from tage.sidecar.explain.question import Asked, read

Sections = Mapping[plan.SectionKey, plan.Section]


def explain(sections: Sections, question: Question, known: Known | None = None) -> Explanation:
    """`known`: what a running sidecar's workers know of hosts; None: none runs. Raises `QuestionError` where the
    question cannot be answered."""
    asked = read(question)
    listener = listeners.choose(_of_kind(sections, plan.Listener), asked, lambda name: _domains(sections, name))
    choice = listeners.choose_chain(listener, asked)
    overload = sections.get(("overload", ""), plan.Overload())
    assert isinstance(overload, plan.Overload)
    finding = _listener(listener, choice, overload)
    refusal = _not_taken(choice, asked)
    if refusal is not None or choice.chain is None:
        return Explanation(upstream.described(asked), refusal or _closed(choice.why), listener=finding)
    if not asked.protocol:
        asked.head.scheme = b"https" if choice.chain.tls is not None else b"http"
    if choice.chain.tcp is not None:
        found = _with_clusters(sections, _relayed(choice.chain.tcp, asked), known)
    else:
        assert choice.chain.http is not None, "a filter chain has one thing to do"
        found = _routed(sections, choice.chain.http, asked, known)
    return msgspec.structs.replace(found, listener=finding)


def _domains(sections: Sections, routes: str) -> Iterator[str]:
    found = sections.get(("routes", routes))
    for host in found.virtual_hosts if isinstance(found, plan.Routes) else ():
        yield from host.domains


def _listener(section: plan.Listener, choice: Choice, overload: plan.Overload) -> findings.Listener:
    return findings.Listener(
        section.name,
        section.address,
        section.port,
        section.direction,
        choice.key,
        choice.why,
        [
            *listener_policies.listener(section, choice.chain),
            *(listener_policies.overload(overload) if section.sheds else []),
        ],
    )


def _closed(why: str) -> Outcome:
    return Outcome("refused", f"the connection is closed: {why}")


def _not_taken(choice: Choice, asked: Asked) -> Outcome | None:
    """Why the connection ends before any request is read."""
    chain = choice.chain
    if chain is None:
        return _closed(choice.why)
    spoken = speaks(chain)
    if spoken != asked.protocol and chain.tcp is None:
        ask = f"{spoken}://" if spoken else "http://"
        return _closed(f"the filter chain speaks {spoken or 'HTTP'}, and the request is none of it; ask for {ask}")
    if asked.protocol:
        return None
    if chain.tls is not None and not asked.tls:
        return _closed("the filter chain speaks TLS, and the request comes without; ask for https://")
    if chain.tls is None and chain.http is not None and asked.tls:
        return _closed("the filter chain speaks plain HTTP, and the request comes with TLS; ask for http://")
    return None


# -- HTTP --------------------------------------------------------------------------------------------------------------


def _routed(sections: Sections, http: plan.Http, asked: Asked, known: Known | None) -> Explanation:
    head = asked.head
    described = upstream.described(asked)
    section = sections.get(("routes", http.routes), plan.Routes(http.routes))
    assert isinstance(section, plan.Routes)
    found = routes.find(section, head, draw=asked.question.draw)
    answer = Explanation(
        described,
        _refused(errors.NO_ROUTE, "no rule matches" if found.virtual_host.name else "no virtual host is for this host"),
        virtual_host=found.virtual_host,
        rules=found.rules,
        rules_left=found.rules_left,
        filters=filters.chain(http, found.rule),
    )
    if not upstream.connects(head, http, found.route):
        return msgspec.structs.replace(answer, outcome=_refused(errors.NO_CONNECT, errors.NO_CONNECT.reason))
    rule, route = found.rule, found.route
    if rule is None or route is None:
        return answer
    name = rule.name or f"#{len(found.rules)}"
    finding = findings.Route(name, route_policies.route(rule), raw=msgspec.to_builtins(rule, builtin_types=(bytes,)))
    answer = msgspec.structs.replace(answer, route=finding, notes=filters.notes(http, rule, head))
    aborted = filters.aborted(http, rule, head)
    if aborted is not None:
        return msgspec.structs.replace(answer, outcome=aborted)
    if rule.direct is not None or rule.redirect is not None:
        return msgspec.structs.replace(answer, outcome=_answered(rule, route, asked))
    mirrors = [mirror.cluster for mirror in rule.mirrors]
    shares, keys = _http_shares(http, rule, route, asked)
    finding = msgspec.structs.replace(finding, shares=shares, mirrors=mirrors)
    answer = msgspec.structs.replace(answer, route=finding, outcome=Outcome("forwarded", "the request goes on"))
    return _with_clusters(sections, answer, known, keys)


def _answered(rule: plan.Route, route: Route, asked: Asked) -> Outcome:
    """By the sidecar itself."""
    headers = upstream.answered(asked, route)
    if rule.redirect is not None:
        text = f"the sidecar redirects, {rule.redirect.status}, to {headers[0].value}"
        return Outcome("answered", text, rule.redirect.status, headers=headers)
    assert rule.direct is not None
    body = f", {len(rule.direct.body.encode())} bytes" if rule.direct.body else ""
    text = f"the sidecar answers {rule.direct.status} itself{body}"
    return Outcome("answered", text, rule.direct.status, headers=headers)


def _http_shares(
    http: plan.Http, rule: plan.Route, route: Route, asked: Asked
) -> tuple[list[findings.Share], list[int]]:
    """And the key of the request in each, 0: it has none, or another one each time."""
    if rule.cluster_header:
        name = route.cluster_of(asked.head, upstream.edited(asked, http))
        shares, own = [findings.Share(name, 1, 100.0)], [None]
    else:
        shares = [
            msgspec.structs.replace(share, settings=route_policies.share(cluster))
            for share, cluster in zip(_shares(route, rule.clusters, asked), rule.clusters, strict=True)
        ]
        own = [route.share(index) for index in range(len(shares))]
    keys = []
    for index, of_share in enumerate(own):
        sent = upstream.forwarded(asked, http, route, of_share)
        subset = (
            route.metadata_match if of_share is None or of_share.metadata_match is None else of_share.metadata_match
        )
        shares[index] = msgspec.structs.replace(shares[index], request=sent.request, subset=dict(subset or ()))
        keys.append(0 if sent.cookie else sent.key)
    return shares, keys


def _refused(error: errors.ProxyError, why: str) -> Outcome:
    return Outcome("refused", f"{error.status}, flag {error.flag}: {why}", error.status, error.flag)


# -- TCP ---------------------------------------------------------------------------------------------------------------


def _relayed(tcp: plan.Tcp, asked: Asked) -> Explanation:
    destination = Destination()
    destination.lead_to([each.name for each in tcp.clusters], [each.weight for each in tcp.clusters])
    route = findings.Route("", shares=_shares(destination, tcp.clusters, asked))
    outcome = Outcome("relayed", "the connection's bytes are relayed")
    return Explanation(upstream.described(asked), outcome, route=route)


# -- both --------------------------------------------------------------------------------------------------------------


def _shares(destination: Destination, weighted: Sequence[plan.WeightedCluster], asked: Asked) -> list[findings.Share]:
    total = sum(destination.weights)
    drawn = destination.pick(Random()) if asked.question.draw else -1
    return [
        findings.Share(each.name, each.weight, 100 * each.weight / total, index == drawn)
        for index, each in enumerate(weighted)
    ]


def _with_clusters(
    sections: Sections, answer: Explanation, known: Known | None, keys: Sequence[int] = ()
) -> Explanation:
    """With the clusters that the route leads to, whether they can serve it, and which endpoint a key leads to."""
    assert answer.route is not None
    targets: dict[tuple[str, tuple[tuple[str, str], ...]], clusters.Target] = {}
    shares = []
    for index, share in enumerate(answer.route.shares):
        target = _target(targets, sections, share.cluster, share.subset, known)
        key = keys[index] if keys else 0
        shares.append(msgspec.structs.replace(share, endpoint=target.by_key(key)))
    for name in answer.route.mirrors:
        _target(targets, sections, name, {}, known)
    route = msgspec.structs.replace(answer.route, shares=shares)
    found = [target.finding for target in targets.values()]
    answer = msgspec.structs.replace(answer, route=route, clusters=found)
    return msgspec.structs.replace(answer, outcome=_outcome(answer, shares))


def _target(
    targets: dict[tuple[str, tuple[tuple[str, str], ...]], clusters.Target],
    sections: Sections,
    name: str,
    subset: dict[str, str],
    known: Known | None,
) -> clusters.Target:
    """Each is described once."""
    key = name, tuple(sorted(subset.items()))
    if key not in targets:
        targets[key] = clusters.describe(sections, name, known, subset)
    return targets[key]


def _outcome(answer: Explanation, shares: Sequence[findings.Share]) -> Outcome:
    taking = [share for share in shares if share.weight]
    failing = [share for share in taking if answer.cluster_of(share).problem]
    if not failing:
        return answer.outcome
    problem = answer.cluster_of(failing[0]).problem
    if len(failing) == len(taking):
        return Outcome("refused", problem, 503)
    lost = words.percent(sum(share.percent for share in failing))
    return Outcome(answer.outcome.kind, f"{answer.outcome.text}, but for {lost} of them: {problem}")


def _of_kind(sections: Sections, kind: type[plan.Listener]) -> list[plan.Listener]:
    return [section for _, section in sorted(sections.items()) if isinstance(section, kind)]
