"""The control plane's HTTP API (port 15014), as the commands use it: JSON over one short connection a call.

`http.client` on purpose: it never goes through the proxy that `http_proxy` in the user's shell may name, and a mesh's
user has it set.
"""

from __future__ import annotations

import http.client
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from tage.cli.errors import CommandError
from tage.config.errors import ConfigError, Problem

MAX_ANSWER = 256 * 1024 * 1024
"""Bytes. Far above any real answer; it only bounds what a wrong address can make us read."""


class ControlClient:
    """`address` is HOST:PORT, `timeout` seconds for connecting and for each read.

    Every call raises `CommandError` when the control plane cannot be reached or fails, and `ConfigError` when it
    refuses what was sent.
    """

    def __init__(self, address: str, timeout: float = 10.0) -> None:
        self.address = address
        self.timeout = timeout

    def resources(self, kind: str = "", namespace: str = "", name: str = "") -> list[dict[str, Any]]:
        """The resources that match; an empty argument matches all."""
        query = urlencode({k: v for k, v in (("kind", kind), ("namespace", namespace), ("name", name)) if v})
        return self._field(self._call("GET", f"/v1/resources?{query}" if query else "/v1/resources"), "items")

    def apply(self, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Create or change all of them or, when one is refused, none: kind, namespace, name and result of each."""
        return self._field(self._call("POST", "/v1/resources", {"items": list(items)}), "items")

    def delete(self, kind: str, namespace: str, name: str) -> bool:
        """False if there was no such resource."""
        path = "/v1/resources/" + "/".join(quote(part, safe="") for part in (kind, namespace, name))
        return self._call("DELETE", path, missing_ok=True) is not None

    def preview(self, wanted: dict[str, Any]) -> dict[str, Any] | None:
        """What a sidecar would be sent; `wanted` as in `tage.pilot.api`. None: no sidecar is at that address."""
        found: dict[str, Any] | None = self._call("POST", "/v1/preview", wanted, missing_ok="address" in wanted)
        return found

    def sidecars(self) -> list[dict[str, Any]]:
        """Every connected sidecar with the state of each xDS type."""
        return self._field(self._call("GET", "/v1/status"), "sidecars")

    def _call(self, method: str, path: str, body: Any = None, missing_ok: bool = False) -> Any:
        host, _, port = self.address.rpartition(":")
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=self.timeout)
        headers = {"Accept": "application/json"}
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body=content, headers=headers)
            response = connection.getresponse()
            answer = response.read(MAX_ANSWER)
            status = response.status
        except TimeoutError:
            raise CommandError(f"control plane {self.address}: no answer within {self.timeout:g} s") from None
        except OSError as error:
            raise CommandError(
                f"control plane {self.address}: {error.strerror or error}; does it run? "
                "`tage up` starts one, --control HOST:PORT names another"
            ) from None
        except http.client.HTTPException as error:
            raise CommandError(
                f"control plane {self.address}: not an HTTP answer ({type(error).__name__}); "
                "is the port the HTTP API's (15014)?"
            ) from None
        finally:
            connection.close()
        return self._result(status, answer, f"{method} {path}", missing_ok)

    def _result(self, status: int, answer: bytes, call: str, missing_ok: bool) -> Any:
        try:
            decoded = msgspec.json.decode(answer) if answer else {}
        except msgspec.DecodeError:
            raise CommandError(
                f"control plane {self.address}: {call} was answered {status} without JSON; is that Tage's HTTP API?"
            ) from None
        if 200 <= status < 300:
            return decoded
        if status == 404 and missing_ok:
            return None
        problems = [_problem(error) for error in decoded.get("errors", ())] if isinstance(decoded, dict) else []
        if status == 400 and problems:
            raise ConfigError(*problems)
        reason = "; ".join(map(str, problems)) or (str(decoded.get("message", "")) if isinstance(decoded, dict) else "")
        raise CommandError(f"control plane {self.address}: {call} was answered {status}{reason and ': ' + reason}")

    def _field(self, answer: Any, name: str) -> list[dict[str, Any]]:
        if not isinstance(answer, dict) or not isinstance(answer.get(name), list):
            raise CommandError(f"control plane {self.address}: an answer without {name!r}; is that Tage's HTTP API?")
        return answer[name]


def _problem(error: Any) -> Problem:
    if not isinstance(error, dict):
        return Problem(str(error))
    return Problem(
        message=str(error.get("message", "")),
        file=str(error.get("file") or ""),
        line=int(error.get("line") or 0),
        path=str(error.get("path") or ""),
    )
