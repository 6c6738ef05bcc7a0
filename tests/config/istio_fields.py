"""Istio's API, as its reference lists it: message -> fields.

Source: istio.io/docs/reference/config/networking/virtual-service and .../destination-rule (networking/v1).
"""

from __future__ import annotations

VIRTUAL_SERVICE = {
    "VirtualService": "hosts gateways http tls tcp exportTo",
    "Destination": "host subset port",
    "PortSelector": "number",
    "HTTPRoute": "name match route redirect directResponse delegate rewrite timeout retries fault mirror mirrors "
    "mirrorPercent mirrorPercentage corsPolicy headers",
    "Delegate": "name namespace",
    "Headers": "request response",
    "HeaderOperations": "set add remove",
    "HTTPMatchRequest": "name uri scheme method authority headers port sourceLabels gateways queryParams ignoreUriCase "
    "withoutHeaders sourceNamespace statPrefix",
    "HTTPRouteDestination": "destination weight headers",
    "HTTPRedirect": "uri authority port derivePort scheme redirectCode prefixRewrite",
    "HTTPDirectResponse": "status body",
    "HTTPBody": "string bytes",
    "HTTPRewrite": "uri authority uriRegexRewrite",
    "RegexRewrite": "match rewrite",
    "StringMatch": "exact prefix regex",
    "HTTPRetry": "attempts perTryTimeout retryOn retryRemoteLocalities retryIgnorePreviousHosts backoff",
    "CorsPolicy": "allowOrigin allowOrigins allowMethods allowHeaders exposeHeaders maxAge allowCredentials "
    "unmatchedPreflights",
    "HTTPFaultInjection": "delay abort",
    "Delay": "percent fixedDelay exponentialDelay percentage",
    "Abort": "httpStatus grpcStatus http2Error percentage",
    "HTTPMirrorPolicy": "destination percentage",
    "Percent": "value",
}

DESTINATION_RULE = {
    "DestinationRule": "host trafficPolicy subsets exportTo workloadSelector",
    "WorkloadSelector": "matchLabels",
    "TrafficPolicy": "loadBalancer connectionPool outlierDetection tls portLevelSettings tunnel proxyProtocol "
    "retryBudget",
    "PortTrafficPolicy": "port loadBalancer connectionPool outlierDetection tls",
    "ProxyProtocol": "version",
    "RetryBudget": "percent minRetryConcurrency budgetInterval",
    "Subset": "name labels trafficPolicy",
    "LoadBalancerSettings": "simple consistentHash localityLbSetting zoneAwareLbSetting warmupDurationSecs warmup",
    "ConsistentHashLB": "httpHeaderName httpCookie useSourceIp httpQueryParameterName ringHash maglev minimumRingSize",
    "RingHash": "minimumRingSize",
    "MagLev": "tableSize",
    "HTTPCookie": "name path ttl attributes",
    "CookieAttribute": "name value",
    "WarmupConfiguration": "duration minimumPercent aggression",
    "LocalityLoadBalancerSetting": "distribute failover failoverPriority enabled",
    "Distribute": "from to",
    "Failover": "from to",
    "ConnectionPoolSettings": "tcp http",
    "TCPSettings": "maxConnections connectTimeout tcpKeepalive maxConnectionDuration idleTimeout",
    "TcpKeepalive": "probes time interval",
    "HTTPSettings": "http1MaxPendingRequests http2MaxRequests maxRequestsPerConnection maxRetries idleTimeout "
    "h2UpgradePolicy useClientProtocol maxConcurrentStreams http2KeepAlive",
    "OutlierDetection": "consecutiveErrors splitExternalLocalOriginErrors consecutiveLocalOriginFailures "
    "consecutiveGatewayErrors consecutive5xxErrors interval baseEjectionTime maxEjectionPercent minHealthPercent "
    "outlierDetectionHttpErrorCodes",
    "ClientTLSSettings": "mode clientCertificate privateKey caCertificates credentialName subjectAltNames sni "
    "insecureSkipVerify caCrl",
}

MESSAGES = {name: fields.split() for api in (VIRTUAL_SERVICE, DESTINATION_RULE) for name, fields in api.items()}
