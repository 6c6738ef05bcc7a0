"""A running sidecar's answer: GET /explain of its admin API."""

from __future__ import annotations

import http.client
from urllib.parse import urlencode, urlsplit

import msgspec

from tage.cli.errors import CommandError
from tage.sidecar.explain.apart import TIMEOUT, Question, QuestionError
from tage.sidecar.explain.findings import Explanation

ADMIN_PORT = 15_000
MAX_ANSWER = 64 << 20
"""Bytes; only bounds what a wrong address can make us read."""


def ask(url: str, question: Question) -> Explanation:
    """`url` is http://HOST:PORT, or HOST:PORT. Raises `CommandError` where nobody answers, `QuestionError`."""
    host, port = _address(url)
    query = [("url", question.target), ("method", question.method)]
    query += [("header", f"{name}: {value}") for name, value in question.headers]
    query += [(name, value) for name in ("source", "listener", "sni") if (value := getattr(question, name))]
    if question.draw:
        query.append(("draw", ""))
    status, body = _get(host, port, f"/explain?{urlencode(query)}")
    if status == 400:
        raise QuestionError(body.decode("utf-8", "replace").strip())
    try:
        if status != 200:
            raise ValueError(f"it answered {status}")
        return msgspec.json.decode(body, type=Explanation)
    except (ValueError, msgspec.DecodeError) as error:
        raise CommandError(
            f"sidecar {host}:{port}: no explanation ({error}); is that a Tage sidecar's admin API, of this version?"
        ) from None


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url if "//" in url else f"//{url}")
    try:
        port = parts.port or ADMIN_PORT
    except ValueError:
        port = 0
    if parts.scheme not in ("", "http") or not parts.hostname or not port or parts.path not in ("", "/"):
        raise CommandError(f"--sidecar {url}: give http://HOST:PORT, the address of a sidecar's admin API", 2)
    return parts.hostname, port


def _get(host: str, port: int, target: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT + 5)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, response.read(MAX_ANSWER)
    except TimeoutError:
        raise CommandError(f"sidecar {host}:{port}: no answer within {TIMEOUT + 5:g} s") from None
    except OSError as error:
        raise CommandError(
            f"sidecar {host}:{port}: {error.strerror or error}; --sidecar is the address of its admin API (15000)"
        ) from None
    except http.client.HTTPException as error:
        raise CommandError(f"sidecar {host}:{port}: not an HTTP answer ({type(error).__name__})") from None
    finally:
        connection.close()
