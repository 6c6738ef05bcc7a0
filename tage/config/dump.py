"""Resources -> YAML and plain values: camelCase, defaults left out, read back by `tage.config.load` to an equal one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
import yaml

from tage.config.document import resolve_plain
from tage.config.model import Resource


def to_builtins(resource: Resource) -> dict[str, Any]:
    """What JSON can hold, for the API. The namespace stands there even if it is the default."""
    value: dict[str, Any] = msgspec.to_builtins(resource)
    metadata = value["metadata"]
    value["metadata"] = {
        "name": metadata.pop("name"), "namespace": resource.metadata.namespace, **metadata
    }  # fmt: skip
    return value


def dump(resource: Resource) -> str:
    """One YAML document."""
    return yaml.dump(to_builtins(resource), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def dump_all(resources: Iterable[Resource]) -> str:
    """One YAML document each."""
    return "---\n".join(dump(resource) for resource in resources)


class _Dumper(yaml.SafeDumper):
    """Quotes what would not be read back as a string by YAML 1.1's rules, which PyYAML knows, or by `document`'s."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_BREAKS = re.compile("[\x85\u2028\u2029\ufeff]")
"""Line breaks that a reader folds into spaces, and the byte order mark: only double quotes escape them."""


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if _BREAKS.search(text):
        style = '"'
    elif not isinstance(resolve_plain(text), str):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)
