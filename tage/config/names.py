"""What names may look like: Kubernetes' object names and labels, hosts, headers, environment variables.

Each function returns what is wrong, in words that fit behind the field's path, or an empty string.
"""

from __future__ import annotations

import functools
import re
import socket

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_](?:[-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_INTERFACE = re.compile(r"[A-Za-z0-9_$][-A-Za-z0-9_$.:]{0,252}")
_VERSIONED = re.compile(r"[A-Za-z0-9_$][-A-Za-z0-9_$.]*:[0-9]+(?:\.[0-9]+)+(?::[-A-Za-z0-9_$.]+)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def dns_label(name: str) -> str:
    """RFC 1123: services, namespaces, subsets."""
    if not name:
        return "must not be empty"
    if _LABEL.fullmatch(name):
        return ""
    return f"'{name}' is not a DNS label: lower-case letters, digits and '-' inside, at most 63 characters"


def dns_subdomain(name: str) -> str:
    """RFC 1123: names of resources."""
    if not name:
        return "must not be empty"
    if len(name) <= 253 and all(_LABEL.fullmatch(part) for part in name.split(".")):
        return ""
    return f"'{name}' is not a DNS name: lower-case letters, digits, '-' and '.' inside, at most 253 characters"


def interface(name: str) -> str:
    """A service as callers of remote calls name it; case counts."""
    if not name:
        return "must not be empty"
    if _INTERFACE.fullmatch(name):
        return ""
    if "*" in name:
        return f"'{name}': a wildcard is not allowed here; name each interface"
    return f"'{name}' is not an interface: letters, digits, '.', '_', '$', '-' and ':' inside, at most 253 characters"


def host(name: str, wildcard: bool = False) -> str:
    """A host as a virtual service names it; case is free, for interfaces of RPC protocols are hosts too, with a version
    (`com.example.Stock:1.0`) or without."""
    if not name:
        return "must not be empty"
    if name == "*" or name.startswith("*."):
        if not wildcard:
            return f"'{name}': a wildcard is not allowed here; name one host"
        if name == "*":
            return ""
    rest = name.removeprefix("*.")
    if len(rest) <= 253 and all(_HOST_LABEL.fullmatch(part) for part in rest.split(".")):
        return ""
    if _VERSIONED.fullmatch(name) or ("$" in name and not interface(name)):
        return ""
    if "://" in name or "/" in name:
        return f"'{name}' is not a host; leave out scheme and path"
    if ":" in name and not address(name):
        return ""  # IPv6
    if re.fullmatch(r"[^:]*:[0-9]+", name):
        return f"'{name}' is not a host; leave out the port"
    return f"'{name}' is not a host: labels of letters, digits, '-' and '_', joined by '.'"


def address(text: str) -> str:
    """IPv4 or IPv6, without a zone."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return f"'{text}' is not an IP address"
    return ""


def port(number: int) -> str:
    return "" if 1 <= number <= 65535 else f"{number} is not a port; it must be between 1 and 65535"


def header(name: str) -> str:
    """The name of a header to be matched: as HTTP/2 has it, in lower case."""
    if name.startswith(":"):
        return f"'{name}' is a pseudo-header; use the fields uri, method, scheme and authority"
    if name != name.lower():
        return token(name) or f"header names are compared in lower case; write '{name.lower()}'"
    return token(name)


def token(name: str) -> str:
    """The name of a header, in whatever case (RFC 9110, section 5.6.2)."""
    return "" if _TOKEN.fullmatch(name) else f"'{name}' is not the name of a header"


def editable_header(name: str) -> str:
    """The name of a header that is set, added or removed."""
    if name.startswith(":") or name.lower() == "host":
        return f"'{name}' cannot be changed here; a request's host is set by rewrite.authority"
    return token(name)


def cookie(name: str) -> str:
    """The name of a cookie or of one of its attributes (RFC 6265, section 4.1.1)."""
    return "" if _TOKEN.fullmatch(name) else f"'{name}' is not the name of a cookie or of its attribute"


def locality(name: str, wildcard: bool = False) -> str:
    """Where an instance is: region, region/zone or region/zone/subzone. `wildcard`: the last may be `*`."""
    parts = name.split("/")
    if wildcard and parts[-1] == "*":
        parts = parts[:-1] or ["any"]
    if len(parts) <= 3 and all(part and "*" not in part for part in parts):
        return ""
    return f"'{name}' is not a locality; write region, region/zone or region/zone/subzone" + (
        ", with '*' only at the end" if wildcard else ""
    )


@functools.lru_cache(maxsize=4096)
def label_key(key: str) -> str:
    prefix, slash, name = key.rpartition("/")
    if name and _LABEL_VALUE.fullmatch(name) and (not slash or not dns_subdomain(prefix)):
        return ""
    return f"'{key}' is not the key of a label (as app, or example.com/app)"


@functools.lru_cache(maxsize=4096)
def label_value(value: str) -> str:
    if _LABEL_VALUE.fullmatch(value):
        return ""
    return f"'{value}' is not a label's value: letters, digits, '-', '_' and '.' inside, at most 63 characters"


def variable(name: str) -> str:
    if _VARIABLE.fullmatch(name):
        return ""
    return f"'{name}' is not the name of an environment variable: letters, digits and '_', no digit first"
