"""PythonFilter, a filter that a user has written."""

from __future__ import annotations

import re

from tage.config import names
from tage.config.python_filter import PythonFilter
from tage.config.validate.finding import INT32_MAX, Findings, named, nested
from tage.config.validate.values import duration, labels

_FILE = re.compile(r"(?P<file>[^\0:]+\.py):[^\W\d]\w*")
_MODULE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")


def python_filter(spec: PythonFilter) -> Findings:
    yield from named(("class",), _class(spec.kind))
    if spec.selector.service:
        yield from named(("selector", "service"), names.dns_label(spec.selector.service))
    yield from nested("selector", nested("labels", labels(spec.selector.labels)))
    if not -INT32_MAX <= spec.priority <= INT32_MAX:
        yield ("priority",), f"{spec.priority} is not possible; at most {INT32_MAX}"
    for field, value in (("timeout", spec.timeout), ("blockingThreshold", spec.blocking_threshold)):
        yield from duration(field, value, 1)


def _class(text: str) -> str:
    """What is wrong with it, in the manner of `tage.config.names`."""
    found = _FILE.fullmatch(text)
    if found is None and _MODULE.fullmatch(text) is None:
        return f"'{text}' does not name a class; write FILE.py:Class, or package.module:Class"
    if found is not None and ".." in found["file"].split("/"):
        return f"'{text}' leads out of the directory that filters are taken from; take out the '..'"
    return ""
