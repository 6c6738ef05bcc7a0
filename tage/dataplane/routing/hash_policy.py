"""What of a request says which host of a cluster it belongs to. Source: RouteAction.HashPolicy; the hashes are Envoy's,
so that both send a request to the same host of the same ring."""

import cython

from tage.dataplane.routing.regex import RegexRewrite

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.routing.hashing import xxh64
    from tage.dataplane.routing.matcher import first_value, query_value

    HEADER = 0
    COOKIE = 1
    SOURCE_IP = 2
    QUERY_PARAMETER = 3

_KINDS = {"header": HEADER, "cookie": COOKIE, "source_ip": SOURCE_IP, "query_parameter": QUERY_PARAMETER}
_MASK = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)
_NOT_IN_COOKIES = frozenset(b"\x00\r\n;")


class HashPolicy:
    """`name`: of the header (lower case), the cookie, the query parameter. `terminal`: where it gave a value, those
    after it are not asked. `attributes`: what follows the value of a cookie that is generated, None: none is."""

    def __init__(
        self,
        kind: str,
        name: bytes = b"",
        terminal: cython.bint = False,
        rewrite: RegexRewrite | None = None,
        attributes: bytes | None = None,
    ) -> None:
        self.kind = _KINDS[kind]
        self.name = name
        self.terminal = terminal
        self.rewrite = rewrite
        self.attributes = attributes

    def _headers(self, head, edits):
        """The values of all lines with this name, sorted: their order does not count."""
        i: cython.Py_ssize_t
        values: list = []
        if self.name == b"host" or self.name.startswith(b":"):
            found: bytes = first_value(head, edits, self.name)
            if found is not None:
                values.append(found)
        else:
            for i in range(head.block.count):
                if head.block.name_is(i, self.name) and (edits is None or not edits.leaves(head.block, i)):
                    values.append(head.block.value(i))
        if edits is not None and edits.extra:
            start: bytes = self.name + b": "
            values += [line.removeprefix(start) for line in edits.extra.split(b"\r\n") if line.startswith(start)]
        if self.rewrite is not None:
            values = [self.rewrite.replace(value) for value in values]
        values.sort()
        return values


class HashPolicies:
    """In order; each that finds a value adds to the key."""

    def __init__(self, policies: list) -> None:
        self.policies = policies
        self.cookie = None

    def key(self, head, edits, source, random):
        """Never 0 where there is one; 0: nothing that the policies ask for is there. `edits` (None: none) are those
        made so far, `source` the client's address as text. `cookie` is then the value of a Set-Cookie header that the
        answer has to get, None without one: it is to be read at once, the next request's overwrites it."""
        policy: HashPolicy
        result: cython.ulonglong = 0
        found: cython.bint = False
        self.cookie = None
        for policy in self.policies:
            texts: list = self._texts(policy, head, edits, source, random)
            if texts:
                one: cython.ulonglong = 0
                for text in texts:
                    one = xxh64(text, one)
                # The old value is turned: the same policy twice must not give 0.
                result = (((result << 1) & _MASK) | (result >> 63)) ^ one
                found = True
            if policy.terminal and found:
                break
        return result or 1 if found else 0

    def _texts(self, policy, head, edits, source, random):
        """What is hashed, one after the other; empty where there is nothing."""
        if policy.kind == HEADER:
            return policy._headers(head, edits)
        if policy.kind == SOURCE_IP:
            return [source] if source else []
        if policy.kind == QUERY_PARAMETER:
            path: bytes = head.path if edits is None or edits.path is None else edits.path
            text: bytes = query_value(path, policy.name)
            return [] if text is None else [text]
        value: bytes = cookie_value(_values(head.block, b"cookie"), policy.name)
        if value:
            return [value]
        if policy.attributes is None:
            return []
        value = b"%016x" % random.next()
        self.cookie = policy.name + b'="' + value + b'"' + policy.attributes
        return [value]


def _values(block, name):
    i: cython.Py_ssize_t
    found: list = []
    for i in range(block.count):
        if block.name_is(i, name):
            found.append(block.value(i))
    return found


def cookie_value(lines, name):
    """The first cookie of that name in the values of Cookie headers, without quotation marks around it; None where
    there is none."""
    for line in lines:
        for part in line.split(b";"):
            key, equals, value = part.lstrip(b" ").partition(b"=")
            if equals and key == name:
                if len(value) >= 2 and value.startswith(b'"') and value.endswith(b'"'):
                    value = value[1 : len(value) - 1]
                return value
    return None


def cookie_attributes(ttl: int, path: str, attributes: list) -> bytes:
    """What follows a generated cookie's value. `ttl` in seconds, 0: until the browser ends. Raises ValueError for what
    would end an attribute."""
    for text in (path, *(each for pair in attributes for each in pair)):
        if not _NOT_IN_COOKIES.isdisjoint(text.encode()):
            raise ValueError(f"'{text}' cannot stand in a cookie's attribute")
    out = f"; Max-Age={ttl}" if ttl else ""
    out += f"; Path={path}" if path else ""
    out += "".join(f"; {name}={value}" if value else f"; {name}" for name, value in attributes)
    return (out + "; HttpOnly").encode()
