"""Listening addresses: loopback only, and in clear words why one cannot be had."""

from __future__ import annotations

import ipaddress
import os
import socket

from tage.config.errors import ConfigError

BACKLOG = 128


class ListenError(Exception):
    """An address and port that cannot be listened on, and what to do."""


def require_loopback(address: str) -> None:
    """Raises `ConfigError`: until the control plane authenticates who talks to it, only this machine may."""
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        raise ConfigError(f"{address!r} is not an IP address; use one of 127.0.0.0/8 or ::1") from None
    if not loopback:
        raise ConfigError(
            f"{address} is not a loopback address, and the control plane does not authenticate its clients yet; "
            "use one of 127.0.0.0/8 or ::1"
        )


def listening_socket(address: str, port: int, what: str, option: str) -> socket.socket:
    """A TCP socket that listens. `what` says what for and `option` how to choose another port.
    Raises `ListenError`."""
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(_text(address, port, what, option, error)) from error
    return listener


def problem(address: str, port: int, what: str, option: str) -> str:
    """Why somebody else's attempt to listen failed, found out by another one. gRPC itself does not say."""
    try:
        listening_socket(address, port, what, option).close()
    except ListenError as error:
        return str(error)
    return f"cannot listen on {_where(address, port)} ({what}); choose another port with {option}"


def _text(address: str, port: int, what: str, option: str, error: OSError) -> str:
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return f"cannot listen on {_where(address, port)} ({what}): {reason}; choose another port with {option}"


def _where(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
