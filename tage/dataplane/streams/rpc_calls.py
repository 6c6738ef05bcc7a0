"""The requests that an upstream connection of an x-protocol carries, and who waits for each answer.

    enter --> [waiting] --> answered            who waits gets the answer, and is not here any more
                  |
                  +-- give_up --> [reserved] --> answered: late, and nobody's

Ids count up and wrap; one that is in use, or reserved, is passed over. Protocols without ids are answered in the order
in which they were asked: there nothing can be given up, for the answer behind would be taken for it.
"""

from collections import deque

import cython

_NOBODY = cython.declare(object, object())


def _free(last, most, taken):
    """The id behind `last` that is not taken, from 1 to `most`; 0 where there are none (`most` is 0)."""
    if most == 0:
        return 0
    while True:
        last = last + 1 if last < most else 1
        if last not in taken:
            return last


class Calls:
    """One connection's. `waiting` and `reserved` are how many there are of each."""

    def __init__(self, ordered: cython.bint) -> None:
        self.waiting = 0
        self.reserved = 0
        self.last_id = 0
        self._by_id = {}
        self._order = deque() if ordered else None

    def next_id(self, most):
        """One that nobody has, from 1 to `most`; 0 where there are no ids (`most` is 0)."""
        self.last_id = _free(self.last_id, most, self._by_id)
        return self.last_id

    def enter(self, receiver, most):
        """Gives its id, see `next_id`."""
        self.waiting += 1
        receiver.upstream_id = self.next_id(most)
        if self._order is not None:
            self._order.append(receiver)
        else:
            self._by_id[receiver.upstream_id] = receiver
        return receiver.upstream_id

    def answered(self, number):
        """Who waits for that answer, and does not from here on; None: nobody, or nobody any more."""
        found: object = None
        if self._order is not None:
            if self._order:
                found = self._order.popleft()
        else:
            found = self._by_id.pop(number, _NOBODY)
            if found is None:
                self.reserved -= 1
            elif found is _NOBODY:
                return None
        if found is not None:
            self.waiting -= 1
        return found

    def carries(self, receiver):
        if self._order is not None:
            return receiver in self._order
        return self._by_id.get(receiver.upstream_id) is receiver

    def give_up(self, receiver):
        """Its id stays taken until the answer comes. Not of ordered ones."""
        self._by_id[receiver.upstream_id] = None
        self.waiting -= 1
        self.reserved += 1

    def forget(self, receiver):
        """It is not waited for, and the connection ends."""
        if self.carries(receiver):
            self.waiting -= 1
            if self._order is not None:
                self._order.remove(receiver)
            else:
                del self._by_id[receiver.upstream_id]

    def take_all(self):
        """All that wait; none is left."""
        found: list = list(self._order) if self._order is not None else list(self._by_id.values())
        if self._order is not None:
            self._order.clear()
        self._by_id = {}
        self.waiting = 0
        self.reserved = 0
        return [receiver for receiver in found if receiver is not None]


class Relays:
    """Requests of servers' own that a client has got, each under an id of ours, until the client answers."""

    def __init__(self) -> None:
        self._last_id = 0
        self._by_id = {}

    def count(self):
        return len(self._by_id)

    def next_id(self, most):
        self._last_id = _free(self._last_id, most, self._by_id)
        return self._last_id

    def enter(self, ours, upstream, number):
        """What the client knows as `ours` this upstream connection has asked as `number`."""
        self._by_id[ours] = (upstream, number)

    def answered(self, ours):
        """(upstream connection, its number), and forgotten; None: nobody asked."""
        return self._by_id.pop(ours, None)
