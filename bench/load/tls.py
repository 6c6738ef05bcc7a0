"""TLS of the generators: a connection as the rows make it, and the check of what a server agrees to.

Run as a process, `python -m bench.load.tls PORT CERTIFICATES` prints version and cipher suite of one handshake. It runs
like the generators with `environment`, which decides what is offered.
"""

from __future__ import annotations

import socket
import ssl
import sys
from functools import cache
from pathlib import Path

from bench.certificates import SERVER_NAMES, Certificates, key_of

HANDSHAKE_SECONDS = 5.0
SERVER_NAME = SERVER_NAMES[1]


def environment(certificates: Certificates | None) -> dict[str, str]:
    """Variables for a generator, which wrk's OpenSSL and Python's read alike."""
    return {} if certificates is None else {"OPENSSL_CONF": str(certificates.openssl_config)}


@cache
def client_context(certificates: Certificates) -> ssl.SSLContext:
    """Verifies the server's chain and shows a client certificate where one is asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the check of equal work also asks for a name that nobody has
    context.load_verify_locations(certificates.authority)
    context.load_cert_chain(certificates.client, key_of(certificates.client))
    return context


def connect(
    port: int,
    certificates: Certificates | None,
    name: str = SERVER_NAME,
    source: str = "127.0.0.1",
    seconds: float = HANDSHAKE_SECONDS,
) -> socket.socket:
    """A blocking connection to loopback `port` from the loopback address `source`, its handshake done. Raises OSError
    (also `ssl.SSLError`)."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=seconds, source_address=(source, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if certificates is None:
        return sock
    try:
        return client_context(certificates).wrap_socket(sock, server_hostname=name)
    except OSError:
        sock.close()
        raise


def main() -> None:
    with connect(int(sys.argv[1]), Certificates(Path(sys.argv[2]))) as sock:
        assert isinstance(sock, ssl.SSLSocket)
        cipher = sock.cipher()
        print(sock.version(), cipher[0] if cipher else "none")


if __name__ == "__main__":
    main()
