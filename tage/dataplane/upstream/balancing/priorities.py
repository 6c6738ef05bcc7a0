"""Requests shared out over priorities, by what `shares` gives to each."""

import cython

from tage.dataplane.upstream.balancing.balancer import Balancer, all_foresee


class Priorities(Balancer):
    """`parts` (a balancer, or None: its share gets no host) have the shares `loads`, percents that add up to 100.
    `hashed`: whose key is the same gets the same priority."""

    def __init__(self, hosts: list, parts: list, loads: list, hashed: cython.bint) -> None:
        Balancer.__init__(self, hosts)
        self.foresees = all_foresee(parts)
        self._parts = parts
        self._loads = loads
        self._hashed = hashed

    def pick(self, random, key, attempt):
        part: Balancer
        left: cython.Py_ssize_t
        i: cython.Py_ssize_t
        load: cython.Py_ssize_t
        if self._hashed:
            if key == 0:
                key = random.next()
            left = key % 100
        else:
            left = random.below(100)
        for i in range(len(self._parts)):
            load = self._loads[i]
            left -= load
            if left < 0:
                part = self._parts[i]
                return None if part is None else part.pick(random, key, attempt)
        return None
