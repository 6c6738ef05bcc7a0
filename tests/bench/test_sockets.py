"""Connections are counted by process and port."""

import os
import socket

from bench.sockets import connections_to


def test_own_connections_to_the_ports_are_counted():
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [listener.getsockname()[1] for listener in (one, other)]
        clients = [socket.create_connection(("127.0.0.1", port)) for port in (ports[0], ports[0], ports[1])]
        assert connections_to([os.getpid()], ports) == 3
        assert connections_to([os.getpid()], ports[1:]) == 1
        assert connections_to([os.getppid()], ports) == 0
        clients[0].close()
        assert connections_to([os.getpid()], ports) == 2
        for client in clients:
            client.close()
