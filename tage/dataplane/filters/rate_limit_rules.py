"""Rules that make descriptors of requests: envoy.config.route.v3.RateLimit and its actions.

A descriptor is a list of entries, each a key and a value; as a `key` of buckets it is one tuple, (key, value, key,
value, ...). Each action adds an entry; one that finds nothing to add makes the whole rule none for this request, unless
it says that it may be left out.
"""

import cython

from tage.dataplane.routing.matcher import HeaderMatcher, QueryMatcher

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.routing.matcher import first_value, query_value

    GENERIC_KEY = 0
    REQUEST_HEADER = 1
    QUERY_PARAMETER = 2
    REMOTE_ADDRESS = 3
    HEADERS_MATCH = 4
    QUERY_MATCH = 5

_KINDS = {
    "generic_key": GENERIC_KEY,
    "request_header": REQUEST_HEADER,
    "query_parameter": QUERY_PARAMETER,
    "remote_address": REMOTE_ADDRESS,
    "headers_match": HEADERS_MATCH,
    "query_match": QUERY_MATCH,
}


class Action:
    """One entry. `kind` is a name of `_KINDS`; `value` is what generic_key and the matches add, `name` the header or
    query parameter whose first value is added. `optional`: without it the rule goes on. `expect`: whether `headers` or
    `query` have to match, or must not."""

    def __init__(
        self,
        kind: str,
        key: bytes,
        value: bytes = b"",
        name: bytes = b"",
        optional: cython.bint = False,
        expect: cython.bint = True,
        headers=(),
        query=(),
    ) -> None:
        self.kind = _KINDS[kind]
        self.key = key
        self.value = value
        self.name = name
        self.optional = optional
        self.expect = expect
        self.headers = list(headers)
        self.query = list(query)

    def value_of(self, exchange):
        """The entry's value, or None."""
        path: bytes
        if self.kind == GENERIC_KEY:
            return self.value
        if self.kind == REQUEST_HEADER:
            return first_value(exchange.head, exchange.edits, self.name)
        if self.kind == REMOTE_ADDRESS:
            return exchange.peer or None
        path = first_value(exchange.head, exchange.edits, b":path")
        if self.kind == QUERY_PARAMETER:
            return query_value(path, self.name)
        return self.value if self._matches(exchange, path) == self.expect else None

    def _matches(self, exchange, path):
        header: HeaderMatcher
        query: QueryMatcher
        for header in self.headers:
            if not header.matches(exchange.head):
                return False
        for query in self.query:
            if not query.matches(path):
                return False
        return True


class Rule:
    def __init__(self, actions) -> None:
        self.actions = list(actions)
        self._constant = None
        if all(each.kind == GENERIC_KEY for each in self.actions):
            self._constant = tuple([part for action in self.actions for part in (action.key, action.value)])

    def key_of(self, exchange):
        """The descriptor of this request, or None."""
        action: Action
        value: bytes
        parts: list = []
        if self._constant is not None:
            return self._constant
        for action in self.actions:
            value = action.value_of(exchange)
            if value is not None:
                parts.append(action.key)
                parts.append(value)
            elif not action.optional:
                return None
        return tuple(parts)
