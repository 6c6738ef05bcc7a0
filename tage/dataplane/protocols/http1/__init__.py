"""HTTP/1.1 (RFC 9112): strict in what it takes, since what two parsers read differently is an attack.

``decoder``     bytes -> heads and bodies: what both directions share; the essay on framing stands there
``request``     requests, as a server reads them
``response``    responses, as a client reads them
``encoder``     heads -> bytes
``characters``  which characters may stand where
``errors``      what a peer can do wrong, with the status that answers it
"""
