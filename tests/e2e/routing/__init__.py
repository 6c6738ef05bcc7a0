"""Routing, case by case: rules, requests, and what is to come of them, as data (``cases/*.yaml``).

Every case is asked three ways, with the same outcome: the routing code itself, where it is about matching
(``test_matching``); a sidecar; and a real Envoy with the same bootstrap (``test_proxies``). Where Envoy does something
else, the case says so and why (`explained`).

A file has `about` (the fields and where they are documented), `names` (YAML anchors) and `cases`; for cases in Envoy's
words `filters`, HTTP filters before the router. Each file is a listener, each case a virtual host of it.

A case:

``id``          its requests go to the host ``<id>.test``, unless they say otherwise
``http``        `spec.http` of a VirtualService for that host; beside it `destination_rules`, specs; or
``resources``   whole resources, as they are applied; or
``virtual_host``  the fields of Envoy's VirtualHost, where Istio has no word for it; its name and domain are added; or
``virtual_hosts``  several of them, whole
``services``    services beside those that every case has (``services.py``)
``node``        whose sidecar it is: `namespace` and `labels`
``pending``     why the rules are refused as yet. A pending case whose rules are accepted fails: the mark has to go
``requests``    in order, over kept connections: a list, or lines with commas between them

A request: `path`, `method`, `host`, `headers` (a map, or a list of pairs), `body`, `play` (what each try of it gets
from the backend, `services.py`), `times` (`{n}` in path and headers is then the request's number, from 0); or as a
line, `[METHOD] PATH [name:value]... -> BACKEND or STATUS`. What is to come of it:

``to``          the backend that answers, or a list of those that may; without it no backend's answer comes
``status``      200 where there is a backend, else 404
``seen``        what the backend saw: `path`, `method`, `authority`, and headers by name; null: not there
``answer``      what the client saw: `body`, and headers by name; null: not there
``split``       the share of each backend in the answers to all `times` requests
``sticky``      all `times` requests reach one backend
``same``        each of them reaches the backend that it reaches through the other proxy
``attempts``    how often a backend was asked
``took``        seconds: at least, at most
``mirrored``    what else was asked: for each a backend and what it saw
``explained``   `why`, and under `envoy` what is otherwise there
"""
