"""Which listener a request meets, and which of its filter chains.

The listener is the user's to say where there are several; the chain is chosen by `net.entrance` and `net.chains`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from tage.dataplane.net import chains
from tage.dataplane.net.entrance import Entrance
from tage.sidecar import plan
from tage.sidecar.explain import words
from tage.sidecar.explain.apart import QuestionError
from tage.sidecar.explain.calls import speaks
from tage.sidecar.explain.question import Asked
from tage.sidecar.worker.listeners import chain_match, keyed


class Choice(NamedTuple):
    """`chain` None: there is none for such a connection."""

    key: str
    chain: plan.FilterChain | None
    why: str


def choose(
    listeners: Sequence[plan.Listener], asked: Asked, hosts: Callable[[str], Iterable[str]] = lambda _: ()
) -> plan.Listener:
    """The one that was named; else the one at the URL's address; else the only one for outbound traffic of its kind,
    HTTP or bytes, or of those the only one whose routes tell hosts apart (`hosts` gives the domains of such a name);
    else the only one on the URL's port; else the only one. Of a remote call, among those that take its protocol, before
    others the only outbound one that takes no other. Raises `QuestionError`."""
    if not listeners:
        raise QuestionError("there is no listener: nothing comes in here")
    if asked.question.listener:
        return _named(listeners, asked.question.listener)
    if asked.protocol:
        return _taking(listeners, asked)
    at = [each for each in listeners if each.port == asked.port and each.address == asked.host]
    outbound = [each for each in listeners if each.direction == "outbound" and _carries(each, asked)]
    telling = [each for each in outbound if any(name != "*" for name in _domains(each, hosts))]
    on_port = [each for each in listeners if asked.port and each.port == asked.port]
    for found in (at, outbound, telling, on_port, listeners):
        if len(found) == 1:
            return found[0]
    raise QuestionError(f"which listener? say --listener with one of {_names(listeners)}")


def _carries(listener: plan.Listener, asked: Asked) -> bool:
    if asked.scheme == "tcp":
        return any(chain.tcp is not None for _, chain in keyed(listener))
    return any(chain.http is not None and chain.http.x_protocol is None for _, chain in keyed(listener))


def _domains(listener: plan.Listener, hosts: Callable[[str], Iterable[str]]) -> Iterator[str]:
    for _, chain in keyed(listener):
        if chain.http is not None:
            yield from hosts(chain.http.routes)


def _taking(listeners: Sequence[plan.Listener], asked: Asked) -> plan.Listener:
    spoken = {each.name: {speaks(chain) for _, chain in keyed(each)} for each in listeners}
    taking = [each for each in listeners if asked.protocol in spoken[each.name]]
    if not taking:
        there = sorted(set().union(*spoken.values()) - {""})
        known = (
            f"there are http:// and https://, {', '.join(f'{each}://' for each in there)}"
            if there
            else ("write http:// or https://")
        )
        raise QuestionError(f"the scheme {asked.scheme!r} is not known: no listener takes such a protocol; {known}")
    outbound = [each for each in taking if each.direction == "outbound"]
    for found in ([each for each in outbound if spoken[each.name] == {asked.protocol}], outbound, taking):
        if len(found) == 1:
            return found[0]
    raise QuestionError(f"which listener? say --listener with one of {_names(taking)}")


def choose_chain(section: plan.Listener, asked: Asked) -> Choice:
    """As a connection with this request would, that comes from the given source."""
    sections = keyed(section)
    built = [chains.Chain(chain_match(chain.match), _nothing) for _, chain in sections]
    count = len(section.chains)
    entrance = Entrance(
        built[:count],
        None,  # type: ignore[arg-type]  # statistics: nothing comes in here
        built[count] if len(built) > count else None,
        inspect_tls=section.inspect_tls or any(chain.tls is not None for _, chain in sections),
        inspect_http=section.inspect_http,
    )
    facts = _facts(section, asked, entrance)
    found = entrance.chain(facts)
    if found is None:
        return Choice("", None, _why_none(built[:count], facts))
    key, chain = sections[built.index(found)]
    return Choice(key, chain, _why(entrance, found, facts))


def _nothing() -> None:
    raise AssertionError("no connection is made here")


def _named(listeners: Sequence[plan.Listener], wanted: str) -> plan.Listener:
    for forms in (lambda each: (each.name, _address(each)), lambda each: (str(each.port),)):
        found = [each for each in listeners if wanted in forms(each)]
        if len(found) == 1:
            return found[0]
    raise QuestionError(f"no listener {wanted!r}; there are {_names(listeners)}")


def _address(listener: plan.Listener) -> str:
    host = f"[{listener.address}]" if ":" in listener.address else listener.address
    return f"{host}:{listener.port}"


def _names(listeners: Sequence[plan.Listener]) -> str:
    return ", ".join(f"{each.name} ({_address(each)})" for each in listeners)


def _facts(section: plan.Listener, asked: Asked, entrance: Entrance) -> chains.Facts:
    """What the first bytes would tell, as far as this listener looks at them."""
    address = section.address
    if ipaddress.ip_address(address).is_unspecified:
        address = asked.host if words.is_address(asked.host) else "::1" if ":" in address else "127.0.0.1"
    source = (asked.source, 0)
    server_name, transport = "", "raw_buffer"
    protocols: tuple[str, ...] = ()
    if entrance.inspect_tls and asked.tls:
        server_name, transport, protocols = asked.server_name, "tls", ("http/1.1",)
    elif asked.protocol in section.inspect_protocols:
        protocols = (f"x-{asked.protocol}",)
    elif entrance.inspect_http and not asked.tls and not asked.protocol:
        protocols = ("http/1.1",)
    return chains.Facts((address, section.port), source, source, server_name, transport, protocols)


def _why(entrance: Entrance, found: chains.Chain, facts: chains.Facts) -> str:
    if found is entrance.default:
        return f"the default; {_why_none(entrance.chains, facts)}" if entrance.chains else "the only one"
    criteria = _criteria(found.match)
    if criteria:
        return f"it matches the {words.listed(criteria)}"
    return "the only one" if len(list(entrance.all_chains())) == 1 else "it is for all that no other one matches better"


def _why_none(candidates: Sequence[chains.Chain], facts: chains.Facts) -> str:
    for name, left in chains.narrow(candidates, facts):
        if not left:
            return f"no filter chain matches the {name}{_value(name, facts)}"
    return "there is no filter chain"


def _criteria(match: chains.Match) -> list[str]:
    """What the match asks about, in the names of `chains`."""
    alone = chains.Facts(("0.0.0.0", 0), ("0.0.0.0", 0), ("0.0.0.0", 0))
    return [name for name, rank in chains.CRITERIA if rank(match, alone) != 0]


def _value(criterion: str, facts: chains.Facts) -> str:
    values = {
        "destination port": str(facts.destination[1]),
        "destination address": facts.destination[0],
        "server name": words.quoted(facts.server_name) if facts.server_name else "(the client names none)",
        "transport protocol": facts.transport_protocol,
        "application protocol": ", ".join(facts.application_protocols) or "(unknown)",
        "direct source address": facts.direct_source[0],
        "source type": "of " + facts.source[0],
        "source address": facts.source[0],
        "source port": "(of a client, any)",
    }
    return " " + values[criterion]
