"""A real Envoy under our Pilot takes every field of the two resources that is carried out."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.pilot.process import Process, process
from tests.pilot.test_envoy import ENVOY, Application, Envoy, assert_nothing_refused, until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(ENVOY is None, reason="no Envoy: set TAGE_ENVOY, or put `envoy` on PATH or into .tools/bin"),
]

RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  gateways: [mesh]
  exportTo: ['*']
  http:
  - name: everything
    match:
    - name: all
      uri: {prefix: /Everything}
      ignoreUriCase: true
      scheme: {exact: http}
      method: {regex: GET|POST}
      authority: {prefix: reviews}
      headers: {x-exact: {exact: a}, x-prefix: {prefix: b}, x-regex: {regex: 'c+'}, x-any: {}, x-star: {regex: '*'}}
      withoutHeaders: {y-exact: {exact: a}, y-any: {}}
      queryParams: {exact: {exact: a}, prefix: {prefix: b}, regex: {regex: 'c+'}, any: {}}
      port: 80
      sourceLabels: {version: v1}
      sourceNamespace: default
      gateways: [mesh]
      statPrefix: everything
    timeout: 3s
    retries:
      attempts: 3
      perTryTimeout: 1s
      retryOn: 5xx,gateway-error,reset,reset-before-request,connect-failure,refused-stream,retriable-4xx,503,cancelled
      retryRemoteLocalities: false
      retryIgnorePreviousHosts: false
      backoff: 30ms
    fault:
      delay: {fixedDelay: 1ms, percentage: {value: 0.01}}
      abort: {grpcStatus: UNAVAILABLE, percentage: {value: 0.0001}}
    mirrors:
    - {destination: {host: reviews, subset: v2}, percentage: {value: 12.5}}
    corsPolicy:
      allowOrigins: [{exact: 'http://a'}, {prefix: 'http://b'}, {regex: 'http://c.*'}]
      allowMethods: [GET, POST]
      allowHeaders: [x-a]
      exposeHeaders: ['*']
      maxAge: 24h
      allowCredentials: true
      unmatchedPreflights: IGNORE
    headers:
      request: {set: {x-set: '%DOWNSTREAM_REMOTE_ADDRESS%', host: other}, add: {x-add: '100%%'}, remove: [x-gone]}
      response: {set: {x-set: '%REQ(x-exact)%'}, add: {x-add: a}, remove: [server]}
    rewrite: {uriRegexRewrite: {match: '^/[^/]*/(.*)', rewrite: '/\\1'}}
    route:
    - destination: {host: reviews, subset: v1}
      weight: 1
      headers: {request: {set: {x-version: v1, host: weighted}}, response: {add: {x-version: v1}}}
    - {destination: {host: reviews, subset: v2}, weight: 2}
  - match: [{uri: {prefix: /faulty}}]
    fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
    mirror: {host: reviews}
    mirrorPercentage: {value: 50}
    rewrite: {uri: /x, authority: 'other:81'}
    route: [{destination: {host: reviews}}]
  - match: [{uri: {prefix: /away}}]
    redirect:
      {prefixRewrite: /there, authority: elsewhere, derivePort: FROM_REQUEST_PORT, scheme: https, redirectCode: 307}
  - match: [{uri: {exact: /gone}}]
    redirect: {uri: /here, port: 8080, redirectCode: 308}
  - match: [{uri: {exact: /text}}]
    directResponse: {status: 200, body: {string: "PADDING"}}
  - match: [{uri: {exact: /bytes}}]
    directResponse: {status: 503, body: {bytes: b2Zm}}
  - match: [{uri: {prefix: /delegated}}]
    delegate: {name: delegated}
  - route: [{destination: {host: reviews, subset: v1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: delegated}
spec:
  http:
  - match: [{uri: {exact: /delegated/2}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - route: [{destination: {host: reviews, subset: v1}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  exportTo: ['.']
  trafficPolicy:
    loadBalancer:
      simple: ROUND_ROBIN
      localityLbSetting: {failover: [{from: east, to: west}]}
      warmup: {duration: 10s, minimumPercent: 5, aggression: 1.2}
    connectionPool:
      tcp:
        maxConnections: 100
        connectTimeout: 1s
        tcpKeepalive: {probes: 3, time: 60s, interval: 10s}
        maxConnectionDuration: 1h
        idleTimeout: 10m
      http:
        http1MaxPendingRequests: 100
        http2MaxRequests: 1000
        maxRequestsPerConnection: 1000
        maxRetries: 3
        idleTimeout: 5m
        h2UpgradePolicy: DO_NOT_UPGRADE
    outlierDetection:
      consecutive5xxErrors: 5
      consecutiveGatewayErrors: 3
      splitExternalLocalOriginErrors: true
      consecutiveLocalOriginFailures: 4
      interval: 1s
      baseEjectionTime: 1s
      maxEjectionPercent: 50
      minHealthPercent: 10
    tls: {mode: DISABLE}
    retryBudget: {percent: 25, minRetryConcurrency: 5}
  subsets:
  - {name: v1, labels: {version: v1}}
  - name: v2
    labels: {version: v2}
    trafficPolicy:
      loadBalancer:
        consistentHash: {httpCookie: {name: user, path: /, ttl: 1h, attributes: [{name: SameSite, value: Lax}]}}
        localityLbSetting: {distribute: [{from: '*', to: {'*': 100}}]}
  - name: ring
    trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x, ringHash: {minimumRingSize: 64}}}}
  - name: maglev
    trafficPolicy:
      loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 251}}}
      connectionPool: {http: {useClientProtocol: true}}
      portLevelSettings: [{port: {number: 81}, loadBalancer: {simple: RANDOM}}]
  - name: query
    trafficPolicy:
      loadBalancer: {consistentHash: {httpQueryParameterName: q}}
      proxyProtocol: {version: V2}
""".replace("PADDING", "x" * 5000)


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[tuple[Envoy, Process]]:
    apps = [Application("v1"), Application("v2")]
    instances = [
        {
            "name": f"r{i}", "address": "127.0.0.1", "port": app.port, "app_address": "127.0.0.1", "app_port": app.port,
            "labels": {"version": f"v{i}"}, "locality": f"east/z{i}",
        }
        for i, app in enumerate(apps, 1)
    ]  # fmt: skip
    services = tmp_path / "services.yaml"
    services.write_text(yaml.safe_dump({"services": [{"name": "reviews", "instances": instances}]}))
    (tmp_path / "mesh.yaml").write_text(RULES)
    options = ("--mesh", str(tmp_path / "mesh.yaml"), "--registry", f"file:{services}")
    with process(tmp_path / "config", *options) as control:
        envoy = Envoy(tmp_path, control.xds, apps[0].port)
        try:
            until(envoy.is_live, f"Envoy did not become ready: {envoy.log.read_text()}")
            yield envoy, control
        finally:
            envoy.close()
            for app in apps:
                app.server.shutdown()
                app.server.server_close()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def located(envoy: Envoy, path: str) -> tuple[int, str]:
    """Status and location of a redirect."""
    proxy = urllib.request.ProxyHandler({"http": f"http://127.0.0.1:{envoy.outbound}"})
    try:
        urllib.request.build_opener(proxy, _Stay()).open(f"http://reviews{path}", timeout=5)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["location"]
    raise AssertionError(f"{path} was not redirected")


def test_envoy_accepts_every_field(mesh: tuple[Envoy, Process]):
    envoy, control = mesh
    assert_nothing_refused(envoy, control)
    dump = envoy.ask("/config_dump?include_eds")
    for name in ("everything.all", "envoy.filters.http.fault", "envoy.filters.http.cors", "outbound|80|maglev|reviews"):
        assert name in dump
    everything = {"x_exact": "a", "x_prefix": "bb", "x_regex": "cc", "x_any": "", "x_star": ""}
    query = "exact=a&prefix=b&regex=c&any="
    assert envoy.via(f"http://reviews/everYthing/v?{query}", **everything)[0] == 200
    assert envoy.via("http://reviews/faulty")[0] == 418
    assert envoy.via("http://reviews/bytes") == (503, "off")
    assert envoy.via("http://reviews/text") == (200, "x" * 5000)
    assert envoy.via("http://reviews/delegated/1") == (200, "v1")
    assert envoy.via("http://reviews/delegated/2") == (200, "v2")
    assert envoy.via("http://reviews/") == (200, "v1")
    assert located(envoy, "/away/x") == (307, "https://elsewhere:80/there/x")
    assert located(envoy, "/gone") == (308, "http://reviews:8080/here")
