"""What a peer may do that costs more here than there, and how much of it. All bounds of a session stand here or in its
`Http2Settings`. What goes beyond them ends the connection with ENHANCE_YOUR_CALM, if nothing else is said.

- It begins requests and resets them, or has them reset for a fault (CVE-2023-44487, CVE-2025-8671): RESETS of requests
  that were not answered yet, and RESETS_A_SECOND anew.
- SETTINGS, PING, PRIORITY, WINDOW_UPDATE, empty DATA, unknown frames, frames for closed streams (CVE-2019-9512, -9513,
  -9515, -9518): FRAMES; what moves messages forward earns more, FRAMES_A_STREAM and FRAMES_A_DATA, and so does time,
  FRAMES_A_SECOND.
- It opens windows by very little, so that data leave in very small frames (CVE-2019-9511): such a frame earns nothing.
- A header block goes on and on (CVE-2024-27316): CONTINUATIONS, and bytes by `max_head_bytes`. One that unpacks to more
  than `max_head_bytes` or `max_headers`: no more is kept of it, and the request is refused.
- It does not read what it asks for (CVE-2019-9517): UNREAD_BYTES of heads and control frames. Bodies wait in their
  streams, and their sources with them.
- More streams than `max_concurrent_streams`: REFUSED_STREAM. More data than a window allows: FLOW_CONTROL_ERROR.
"""

import cython

FRAMES = cython.declare(cython.int, 10_000)
FRAMES_A_SECOND = cython.declare(cython.int, 330)
FRAMES_A_STREAM = cython.declare(cython.int, 10)
FRAMES_A_DATA = cython.declare(cython.int, 10)
RESETS = cython.declare(cython.int, 1_000)
RESETS_A_SECOND = cython.declare(cython.int, 33)
CONTINUATIONS = cython.declare(cython.int, 64)
REMEMBERED = cython.declare(cython.int, 1_024)
"""Streams that were reset here and for which frames may still be under way."""
UNREAD_BYTES = cython.declare(cython.Py_ssize_t, 4 << 20)


class Budget:
    """`most` tokens, `per_second` of them anew."""

    def __init__(self, most: cython.longlong, per_second: cython.longlong) -> None:
        self.tokens = most
        self._most = most
        self._per_second = per_second
        self._at = 0

    def take(self, now, cost):
        """Whether there were so many. `now` in ms, of any clock that does not go back."""
        if self._at == 0:
            self._at = now
        elif self.tokens < cost:
            anew: cython.longlong = (now - self._at) * self._per_second // 1000
            if anew > 0:
                self._at = now
                self.earn(anew)
        self.tokens -= cost
        return self.tokens >= 0

    def earn(self, tokens):
        self.tokens += tokens
        if self.tokens > self._most:
            self.tokens = self._most
