"""Sends requests into the running bookshop, and remote calls of its four protocols, and shows where they went.

    python examples/bookshop/traffic.py --requests 1000

Goes in through the mesh's client entry, which it finds by itself; --proxy or `http_proxy` names another way in, such as
the sidecar of any instance: its one port takes remote calls too, and tells by their first bytes what they are. Exits
with 1 when a request failed or the header rule was not followed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from calls import Shop
from rpc import CallError

MESH = "bookshop"
JASON = {"end-user": "jason"}
TIMEOUT = 15.0
"""Seconds for one request."""


@dataclass
class Outcome:
    """Of one batch of requests."""

    versions: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.versions.total() + self.failures.total()

    def split(self) -> str:
        shares = (
            f"{version} {count} ({100 * count / self.total:.1f}%)" for version, count in sorted(self.versions.items())
        )
        return ", ".join(shares) or "no answers"


def batch(count: int, concurrency: int, one: Callable[[], tuple[str, str]]) -> Outcome:
    """`count` times `one`, which says the version that answered and nothing, or nothing and why it failed."""
    outcome = Outcome()
    with ThreadPoolExecutor(concurrency) as pool:
        for version, failure in pool.map(lambda _: one(), range(count)):
            if failure:
                outcome.failures[failure] += 1
            else:
                outcome.versions[version] += 1
    return outcome


class Sender:
    """Sends GET requests through a proxy, with one kept-alive connection per thread."""

    def __init__(self, proxy: str, concurrency: int) -> None:
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        if parts.hostname is None:
            raise SystemExit(f"traffic.py: {proxy!r} is not the address of a proxy")
        self._address = (parts.hostname, parts.port or 80)
        self._concurrency = concurrency
        self._local = threading.local()

    def batch(self, count: int, url: str, headers: Mapping[str, str] | None = None) -> Outcome:
        """`count` requests; each answer is counted by the version of reviews that it comes from."""
        return batch(count, self._concurrency, lambda: self._one(url, headers or {}))

    def _one(self, url: str, headers: Mapping[str, str]) -> tuple[str, str]:
        """(version, "") or ("", why it failed)."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT)
        try:
            # A proxy gets the whole URL on the request line (RFC 9112 section 3.2.2).
            connection.request("GET", url, headers={"Host": urlsplit(url).netloc, **headers})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return "", str(error) or type(error).__name__
        if response.status != 200:
            return "", f"{response.status} {body[:200].decode(errors='replace').strip()}"
        content = json.loads(body)
        return content.get("reviews", {}).get("version") if "details" in content else content["version"], ""


SHARED = ("bolt", "dubbo", "x-ledger", "grpc")
"""Protocols that one port of a sidecar tells apart."""

Calls = dict[str, Callable[[Mapping[str, str]], Any]]


def calls_of(shop: Shop) -> Calls:
    """By name, what is called with which metadata."""
    return {
        "stock (bolt)": lambda metadata: shop.stock(1, metadata),
        "recommender (dubbo)": lambda metadata: shop.recommended(1, metadata),
        "ledger (x-ledger)": lambda metadata: shop.entered(1, metadata),
        "prices (grpc)": lambda metadata: shop.price(1, metadata),
    }


def call(one: Callable[[Mapping[str, str]], Any], metadata: Mapping[str, str]) -> tuple[str, str]:
    """(version, "") or ("", why it failed)."""
    try:
        return one(metadata)["version"], ""
    except CallError as error:
        return "", str(error)


def ways_in(proxy: str) -> tuple[str, dict[str, str]]:
    """The proxy, and the address for remote calls by protocol: the one port of `proxy`; without one, the ports that the
    bookshop which runs on this machine has for clients."""
    if proxy:
        return proxy, dict.fromkeys(SHARED, urlsplit(proxy if "//" in proxy else f"//{proxy}").netloc)
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    directory = Path(base) / "tage" if base.startswith("/") else Path(f"/tmp/tage-{os.getuid()}")
    try:
        mesh = json.loads((directory / f"{MESH}.json").read_text())
        return f"http://{mesh['client']}", mesh["clients"]
    except (OSError, ValueError, KeyError):
        raise SystemExit("traffic.py: no bookshop runs here; start it: tage up examples/bookshop/mesh.yaml") from None


def main() -> int:
    parser = argparse.ArgumentParser(description="Send requests into the bookshop and show where they went.")
    parser.add_argument("-n", "--requests", type=int, default=1000, metavar="N", help="requests for the split (1000)")
    parser.add_argument("-c", "--concurrency", type=int, default=4, metavar="N", help="connections (4)")
    parser.add_argument("--proxy", metavar="URL", help="the way in; default: $http_proxy, else the client entry")
    options = parser.parse_args()
    if options.requests < 1 or options.concurrency < 1:
        parser.error("--requests and --concurrency take positive numbers")
    proxy, addresses = ways_in(options.proxy or os.environ.get("http_proxy", ""))
    # grpcio would ask the proxy for the way to the sidecar's port.
    os.environ["no_grpc_proxy"] = ",".join(address.rpartition(":")[0] for address in addresses.values())  # noqa: SIM112
    sender = Sender(proxy, options.concurrency)
    few = max(10, options.requests // 10)
    print(f"through {proxy}")

    began = time.monotonic()
    everybody = sender.batch(options.requests, "http://reviews/reviews/1")
    took = time.monotonic() - began
    jason = sender.batch(few, "http://reviews/reviews/1", JASON)
    pages = sender.batch(few, "http://productpage/productpage/1", JASON)
    print(f"everybody      {everybody.split()}   [{everybody.total} requests, {everybody.total / took:.0f}/s]")
    print(f"jason          {jason.split()}")
    print(f"jason's pages  {pages.split()}   [productpage -> all the others]")
    outcomes = {"everybody": everybody, "jason": jason, "pages": pages}
    for name, one in calls_of(Shop(addresses)).items():
        began = time.monotonic()
        calls = batch(options.requests, options.concurrency, partial(call, one, {}))
        took = time.monotonic() - began
        jasons = batch(few, options.concurrency, partial(call, one, JASON))
        rate = f"{calls.total} calls, {calls.total / took:.0f}/s"
        print(f"{name:<20} {calls.split()}   jason {jasons.split()}   [{rate}]")
        outcomes |= {name: calls, f"jason's {name}": jasons}
    return report(outcomes)


def report(outcomes: Mapping[str, Outcome]) -> int:
    problems = [
        f"{count} x {name}: {failure}"
        for name, outcome in outcomes.items()
        for failure, count in outcome.failures.most_common(5)
    ]
    problems += [
        f"header rule: {name} got {outcome.split()}, expected v2 only"
        for name, outcome in outcomes.items()
        if name.startswith(("jason", "pages")) and set(outcome.versions) - {"v2"}
    ]
    for problem in problems:
        print(f"FAILED {problem}", file=sys.stderr)
    if not problems:
        print("no request failed; the header rule was followed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
