"""A VirtualService and a DestinationRule with every field that is carried out."""

from __future__ import annotations

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
      abort: {httpStatus: 503, percentage: {value: 0.0001}}
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
  - match: [{uri: {exact: /shop.Greeter/Hello}}]
    fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}
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
  - name: http2
    trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 100}}}
  - name: query
    trafficPolicy:
      loadBalancer: {consistentHash: {httpQueryParameterName: q}}
      proxyProtocol: {version: V2}
""".replace("PADDING", "x" * 5000)
