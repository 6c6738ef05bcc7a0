"""Bytes <-> frames, sans-I/O: no sockets, no routes, no clocks here.

``message``    the internal request and response heads that every HTTP-like protocol fills in
``writer``     a growing buffer that output is put together in
``http1``      HTTP/1.1 (RFC 9112), strict
``xprotocol``  remote-call protocols of frames, a class each
"""
