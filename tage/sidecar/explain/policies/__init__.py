"""Everything that a plan can say of a request's way, in words.

Each table has a topic for every field that can be set; `..._ELSEWHERE` says which fields are shown in another place.

``listener``   listeners, filter chains, HTTP and TCP connection managers, overload
``filter``     HTTP filters, by kind
``route``      rules, virtual hosts, route configurations
``cluster``    clusters and endpoints; ``balancing``, ``health``, ``http2`` and ``tls`` are parts of it
"""
