"""HTTP/2 (RFC 9113) and HPACK (RFC 7541), sans-I/O.

    bytes --> Session --> events: heads, data, ends, resets      who reads them: streams/http2_*.py
              frames, flow control, the streams' states, what a peer may not do

`hpack` turns header blocks into fields, `heads` fields into the heads that all protocols have, and back.
"""
