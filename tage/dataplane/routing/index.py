"""`PathIndex`: the first of many rules that matches, without trying them all.

A rule for an exact path, a prefix or a separated prefix can only match a path that begins with its value, one for an
expression a path that begins as all do that match it. So rules are chained by that beginning, in lower case, and the
beginnings are in a hash table; the hash (FNV-1a) of every beginning of a path comes from that of the one before, one
multiplication a byte. Only rules of chains whose beginning the path has are tried; whether they match they say
themselves. What counts is a rule's place: a chain is left where its next rule stands behind the best one found so far.
"""

from array import array

import cython

from tage.dataplane.routing.matcher import StringMatcher
from tage.dataplane.routing.route import Route

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.message import same
    from tage.dataplane.routing.matcher import EXACT, PREFIX, REGEX, SEPARATED_PREFIX

# Typed, for C arithmetic wraps by itself and a plain literal of this size would be a Python integer.
_MASK = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)
_BASIS = cython.declare(cython.ulonglong, 0xCBF29CE484222325)
_PRIME = cython.declare(cython.ulonglong, 0x100000001B3)


def _step(value, byte):
    return ((value ^ byte) * _PRIME) & _MASK


class PathIndex:
    """`add` while building, in the rules' order; then `finish`, and afterwards only `match`."""

    def __init__(self) -> None:
        self._routes = []
        self._chains = {}

    def add(self, route: Route) -> None:
        self._chains.setdefault(_beginning(route.path), []).append(len(self._routes))
        self._routes.append(route)

    def finish(self) -> None:
        begin: cython.Py_ssize_t = 0
        number: cython.Py_ssize_t
        chains: dict = self._chains
        begins: list = [0]
        order: list = []
        self._keys = list(chains)
        for chain in chains.values():
            begin += len(chain)
            begins.append(begin)
            order += chain
        self._chains = None
        self._begin = array("i", begins)
        self._order = array("i", order or [0])
        self._longest = max([len(key) for key in self._keys], default=0)
        self._ends = array("B", bytes(self._longest + 1))
        self._slots = 8
        while self._slots < 2 * len(self._keys):
            self._slots *= 2
        self._hashes = array("Q", bytes(8 * self._slots))
        self._key_of = array("i", bytes(4 * self._slots))
        for number in range(len(self._keys)):
            self._insert(number)

    def _insert(self, number):
        """`_key_of` counts from 1: what is 0 is free."""
        key: bytes = self._keys[number]
        p: cython.p_uchar = key
        i: cython.Py_ssize_t
        value: cython.ulonglong = _BASIS
        for i in range(len(key)):
            value = _step(value, p[i])
        i = value & (self._slots - 1)
        while self._key_of[i]:
            i = (i + 1) & (self._slots - 1)
        self._key_of[i] = number + 1
        self._hashes[i] = value
        self._ends[len(key)] = 1

    def match(self, head):
        """The first route that matches, or None."""
        path: bytes = head.path
        p: cython.p_uchar = path
        key: bytes
        byte: cython.int
        size: cython.Py_ssize_t = 0
        end: cython.Py_ssize_t = len(path)
        at: cython.Py_ssize_t
        best: cython.Py_ssize_t = len(self._routes)
        value: cython.ulonglong = _BASIS
        if end > self._longest:
            end = self._longest
        while True:
            if self._ends[size]:
                at = value & (self._slots - 1)
                while self._key_of[at]:
                    if self._hashes[at] == value:
                        key = self._keys[self._key_of[at] - 1]
                        if len(key) == size and same(p, 0, size, key):
                            best = self._chain(head, self._key_of[at] - 1, best)
                            break
                    at = (at + 1) & (self._slots - 1)
            if size == end:
                break
            byte = p[size]
            if 65 <= byte <= 90:
                byte |= 32
            value = _step(value, byte)
            size += 1
        return self._routes[best] if best < len(self._routes) else None

    def _chain(self, head, key, best):
        """The place of the first rule of the chain that matches and stands before `best`; else `best`."""
        i: cython.Py_ssize_t
        place: cython.Py_ssize_t
        route: Route
        for i in range(self._begin[key], self._begin[key + 1]):
            place = self._order[i]
            if place >= best:
                break
            route = self._routes[place]
            if route.matches(head):
                return place
        return best


def _beginning(path: StringMatcher) -> bytes:
    """What every path begins with that it matches, in lower case."""
    if path.kind in (EXACT, PREFIX, SEPARATED_PREFIX):
        return path.value.lower()
    if path.kind == REGEX:
        return path.literal_prefix().lower()
    return b""
