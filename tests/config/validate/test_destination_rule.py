from __future__ import annotations

import pytest

from tests.config.validate.findings import of, of_policy


def balanced(settings: str) -> list[str]:
    return [finding.removeprefix("loadBalancer.") for finding in of_policy(f"{{loadBalancer: {settings}}}")]


@pytest.mark.parametrize(
    "policy",
    [
        "{connectionPool: {tcp: {maxConnections: 0, idleTimeout: 0s, tcpKeepalive: {}}}}",
        "{connectionPool: {http: {h2UpgradePolicy: DEFAULT, useClientProtocol: true}}}",
        "{connectionPool: {http: {h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 100}}}",
        "{outlierDetection: {consecutive5xxErrors: 0, minHealthPercent: 100}}",
        "{tls: {mode: DISABLE}, proxyProtocol: {version: V1}, retryBudget: {percent: 0}}",
        "{portLevelSettings: [{port: {number: 80}, outlierDetection: {}}, {port: {number: 81}, tls: {}}]}",
    ],
)
def test_policies_that_pass(policy: str) -> None:
    assert of_policy(policy) == []


@pytest.mark.parametrize(
    ("policy", "path", "reason"),
    [
        ("{connectionPool: {}}", "connectionPool", "needs tcp or http"),
        ("{connectionPool: {tcp: {maxConnections: -1}}}", "connectionPool.tcp.maxConnections", "at least 0"),
        ("{connectionPool: {tcp: {connectTimeout: 0s}}}", "connectionPool.tcp.connectTimeout", "at least 1ms"),
        ("{connectionPool: {tcp: {maxConnectionDuration: x}}}", "connectionPool.tcp.maxConnectionDuration",
         "not a duration"),
        ("{connectionPool: {tcp: {tcpKeepalive: {time: 10ms}}}}", "connectionPool.tcp.tcpKeepalive.time",
         "at least 1000ms"),
        ("{connectionPool: {http: {maxRetries: -1}}}", "connectionPool.http.maxRetries", "at least 0"),
        ("{connectionPool: {http: {h2UpgradePolicy: x}}}", "connectionPool.http.h2UpgradePolicy",
         "is not one of DEFAULT"),
        ("{connectionPool: {http: {maxConcurrentStreams: -1}}}", "connectionPool.http.maxConcurrentStreams",
         "at least 0"),
        ("{connectionPool: {http: {http2KeepAlive: {}}}}", "connectionPool.http.http2KeepAlive", "not carried out"),
        ("{outlierDetection: {consecutiveErrors: 1}}", "outlierDetection.consecutiveErrors", "not carried out"),
        ("{outlierDetection: {consecutive5xxErrors: -1}}", "outlierDetection.consecutive5xxErrors", "at least 0"),
        ("{outlierDetection: {consecutiveLocalOriginFailures: 1}}", "outlierDetection.consecutiveLocalOriginFailures",
         "only with splitExternalLocalOriginErrors"),
        ("{outlierDetection: {interval: 0s}}", "outlierDetection.interval", "at least 1ms"),
        ("{outlierDetection: {maxEjectionPercent: 101}}", "outlierDetection.maxEjectionPercent", "between 0 and 100"),
        ("{tls: {mode: SIMPLE}}", "tls.mode", "'SIMPLE' is not carried out"),
        ("{tls: {mode: x}}", "tls.mode", "is not one of DISABLE"),
        ("{proxyProtocol: {version: V3}}", "proxyProtocol.version", "is not one of V1, V2"),
        ("{retryBudget: {percent: 101}}", "retryBudget.percent", "between 0 and 100"),
        ("{retryBudget: {budgetInterval: 1s}}", "retryBudget.budgetInterval", "not carried out"),
        ("{portLevelSettings: [{tls: {}}]}", "portLevelSettings[0].port", "is missing"),
        ("{portLevelSettings: [{port: {number: 80}}]}", "portLevelSettings[0]", "needs loadBalancer"),
        ("{portLevelSettings: [{port: {number: 80}, tls: {}}, {port: {number: 80}, tls: {}}]}",
         "portLevelSettings[1].port", "is there twice"),
    ],
)  # fmt: skip
def test_policies_that_do_not(policy: str, path: str, reason: str) -> None:
    (finding,) = of_policy(policy)
    assert finding.startswith(f"{path}: ")
    assert reason in finding


@pytest.mark.parametrize(
    "settings",
    [
        "{consistentHash: {httpHeaderName: X, ringHash: {}}}",
        "{consistentHash: {useSourceIp: true, minimumRingSize: 1}}",
        "{consistentHash: {httpCookie: {name: a, ttl: 0s, path: /, attributes: [{name: Secure}]}}}",
        "{consistentHash: {httpQueryParameterName: q, maglev: {tableSize: 2}}}",
        "{consistentHash: {httpQueryParameterName: q, maglev: {}}}",
        "{localityLbSetting: {distribute: [{from: a/b/*, to: {a/b: 70, c: 30}}, {from: '*', to: {c: 100}}]}}",
        "{localityLbSetting: {failover: [{from: a, to: b}], failoverPriority: [app, version=v1], enabled: true}}",
        "{warmup: {duration: 1s, minimumPercent: 0, aggression: 0.5}}", "{simple: ROUND_ROBIN, warmupDurationSecs: 1s}",
    ],
)  # fmt: skip
def test_load_balancers_that_pass(settings: str) -> None:
    assert balanced(settings) == []


@pytest.mark.parametrize(
    ("settings", "path", "reason"),
    [
        ("{simple: PASSTHROUGH}", "simple", "not carried out"),
        ("{simple: RANDOM, consistentHash: {useSourceIp: true}}", "loadBalancer", "exclude one another"),
        ("{consistentHash: {}}", "consistentHash", "needs httpHeaderName"),
        ("{consistentHash: {useSourceIp: false}}", "consistentHash.useSourceIp", "false is no key"),
        ("{consistentHash: {useSourceIp: true, httpHeaderName: x}}", "consistentHash", "exclude one another"),
        ("{consistentHash: {httpHeaderName: 'a b'}}", "consistentHash.httpHeaderName", "not the name of a header"),
        ("{consistentHash: {useSourceIp: true, maglev: {tableSize: 1}}}", "consistentHash.maglev.tableSize",
         "a prime number"),
        ("{consistentHash: {useSourceIp: true, maglev: {tableSize: 4}}}", "consistentHash.maglev.tableSize",
         "a prime number"),
        ("{consistentHash: {useSourceIp: true, maglev: {tableSize: 5000011}}}", "consistentHash.maglev.tableSize",
         "below"),
        ("{consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 8388609}}}",
         "consistentHash.ringHash.minimumRingSize", "between 0 and 8388608"),
        ("{consistentHash: {useSourceIp: true, ringHash: {}, minimumRingSize: 1}}", "consistentHash",
         "exclude one another"),
        ("{consistentHash: {httpCookie: {name: ''}}}", "consistentHash.httpCookie.name", "not the name of a cookie"),
        ("{consistentHash: {httpCookie: {name: a, path: x}}}", "consistentHash.httpCookie.path", "begins with '/'"),
        ("{consistentHash: {httpCookie: {name: a, attributes: [{name: b}]}}}", "consistentHash.httpCookie.attributes",
         "ttl"),
        ("{consistentHash: {httpCookie: {name: a, ttl: 1s, attributes: [{name: b}, {name: b}]}}}",
         "consistentHash.httpCookie.attributes[1].name", "there twice"),
        ("{consistentHash: {httpCookie: {name: a, ttl: 1s, attributes: [{name: b, value: ';'}]}}}",
         "consistentHash.httpCookie.attributes[0].value", "neither ';'"),
        ("{zoneAwareLbSetting: {}}", "zoneAwareLbSetting", "not carried out"),
        ("{localityLbSetting: {distribute: [{from: a, to: {b: 100}}], failover: [{from: a, to: b}]}}",
         "localityLbSetting", "exclude one another"),
        ("{localityLbSetting: {distribute: [{from: a, to: {b: 99}}]}}", "localityLbSetting.distribute[0].to",
         "add up to 99"),
        ("{localityLbSetting: {distribute: [{from: a/*/c, to: {b: 100}}]}}", "localityLbSetting.distribute[0].from",
         "is not a locality"),
        ("{localityLbSetting: {distribute: [{from: a, to: {b: 50, b/c: 50}}]}}", "localityLbSetting.distribute[0].to",
         "overlap"),
        ("{localityLbSetting: {distribute: [{from: '*', to: {b: 100}}, {from: a, to: {b: 100}}]}}",
         "localityLbSetting.distribute", "'*' and 'a' overlap"),
        ("{localityLbSetting: {failover: [{from: a, to: a}]}}", "localityLbSetting.failover[0].to", "another region"),
        ("{localityLbSetting: {failover: [{from: a/b, to: c}]}}", "localityLbSetting.failover[0].from", "not a region"),
        ("{localityLbSetting: {failoverPriority: ['a b']}}", "localityLbSetting.failoverPriority[0]", "key of a label"),
        ("{localityLbSetting: {failover: [{from: a, to: b}], failoverPriority: [topology.kubernetes.io/zone]}}",
         "localityLbSetting.failoverPriority[0]", "exclude one another"),
        ("{warmup: {}}", "warmup.duration", "is missing"),
        ("{warmup: {duration: 1s, aggression: 0}}", "warmup.aggression", "greater than 0"),
        ("{warmup: {duration: 1s, minimumPercent: 101}}", "warmup.minimumPercent", "between 0 and 100"),
        ("{warmup: {duration: 1s}, warmupDurationSecs: 1s}", "loadBalancer", "exclude one another"),
        ("{simple: RANDOM, warmupDurationSecs: 1s}", "warmupDurationSecs", "ROUND_ROBIN and LEAST_REQUEST only"),
    ],
)  # fmt: skip
def test_load_balancers_that_do_not(settings: str, path: str, reason: str) -> None:
    (finding,) = balanced(settings)
    assert finding.startswith(f"{path}: ")
    assert reason in finding


@pytest.mark.parametrize(
    ("spec", "path", "reason"),
    [
        ("exportTo: [A]", "exportTo[0]", "not a DNS label"),
        ("exportTo: ['*', a]", "exportTo", "'*' is every namespace"),
        ("exportTo: [a, a]", "exportTo[1]", "named twice"),
        ("workloadSelector: {}", "workloadSelector.matchLabels", "at least one label"),
        ("workloadSelector: {matchLabels: {a: b}}, exportTo: [other]", "exportTo", "in its own namespace"),
    ],
)
def test_rules_that_do_not(spec: str, path: str, reason: str) -> None:
    head = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n"
    (finding,) = of(f"{head}spec: {{host: a, {spec}}}\n")
    assert finding.startswith(f"spec.{path}: ")
    assert reason in finding


def test_a_selector_and_its_own_namespace() -> None:
    head = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n"
    assert of(f"{head}spec: {{host: a, workloadSelector: {{matchLabels: {{a: b}}}}, exportTo: ['.']}}\n") == []
