"""HTTP/1.1 (RFC 9112): strict in what it takes, since what two parsers read differently is an attack.

``decoder``   bytes -> heads and bodies; the essay on framing stands there
``encoder``   heads -> bytes
``errors``    what a peer can do wrong, with the status that answers it
"""
