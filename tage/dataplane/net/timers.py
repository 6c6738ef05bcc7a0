"""One hierarchical timer wheel a worker (Varghese & Lauck, scheme 7): arming and disarming cost a few pointer writes.

Three levels of 64 slots; a slot of the first is 16 ms wide, each level's slot is as wide as the whole level below.
A timer sits in the coarsest level that its delay needs, and moves down when its slot comes up. Beyond the third level
(about 73 hours) it waits in the last slot and is put in again. Timers fire up to one slot late, never early.

The wheel asks the event loop for one call: at the next slot that has a timer in it; with no timer there is none.
"""

from array import array

import cython

from tage.dataplane import native

_SLOTS = cython.declare(cython.int, 64)
_LEVELS = cython.declare(cython.int, 3)
_SLOT_MS = cython.declare(cython.longlong, 16)
_SHIFT = cython.declare(cython.int, 6)


class Timer:
    """Something that can be due. Subclasses say what then happens in `expire`. It belongs to one wheel at most and
    is in it once; arming it again moves it."""

    def __init__(self) -> None:
        self._next = None
        self._previous = None
        self._wheel = None
        self.armed = False
        self.deadline = 0

    def expire(self):
        raise NotImplementedError


class TimerWheel:
    """`call_later(seconds, callback)` is the event loop's, `clock()` microseconds (None: the monotonic clock).

    `latest` is what the clock said when it was last asked, in ms: good enough for what is counted in seconds."""

    def __init__(self, call_later, clock=None) -> None:
        self._call_later = call_later
        self._clock = clock
        self.latest = 0
        self._slots = [None] * (_SLOTS * _LEVELS)
        self._sizes = array("i", bytes(4 * _SLOTS * _LEVELS))
        self._handle = None
        self._tick = self.tick
        self._at = self.now() // _SLOT_MS
        self._wakes_at = -1
        self._turning = False
        self.count = 0

    def now(self):
        """Milliseconds."""
        return self.now_us() // 1000

    def now_us(self):
        """Microseconds. All that a worker measures and times is told by this clock."""
        now: cython.longlong = native.now_us() if self._clock is None else self._clock()
        self.latest = now // 1000
        return now

    def arm(self, timer, delay_ms):
        """Due in `delay_ms`; a delay of 0 is due at the next turn."""
        if timer.armed:
            self._unlink(timer)
        timer.deadline = self.now() + delay_ms
        timer._wheel = self
        self._insert(timer)
        if not self._turning:
            self._schedule_for(timer)

    def disarm(self, timer):
        if timer.armed:
            self._unlink(timer)
            timer._wheel = None

    def _insert(self, timer):
        # A slot is run when its end has passed, so a timer goes into the slot behind its deadline.
        due: cython.longlong = timer.deadline // _SLOT_MS + 1
        if due <= self._at:
            due = self._at + 1
        ahead: cython.longlong = due - self._at
        level: cython.int = 0
        while level < _LEVELS - 1 and ahead >= (cython.cast(cython.longlong, 1) << (_SHIFT * (level + 1))):
            level += 1
        if ahead >= (cython.cast(cython.longlong, 1) << (_SHIFT * _LEVELS)):
            due = self._at + (cython.cast(cython.longlong, 1) << (_SHIFT * _LEVELS)) - 1
        slot: cython.int = (due >> (_SHIFT * level)) & (_SLOTS - 1)
        index: cython.Py_ssize_t = level * _SLOTS + slot
        first: Timer = self._slots[index]
        timer._next = first
        timer._previous = None
        if first is not None:
            first._previous = timer
        self._slots[index] = timer
        timer._level = level
        timer._slot = slot
        timer.armed = True
        self._sizes[index] += 1
        self.count += 1

    def _unlink(self, timer):
        index: cython.Py_ssize_t = timer._level * _SLOTS + timer._slot
        if timer._previous is not None:
            timer._previous._next = timer._next
        else:
            self._slots[index] = timer._next
        if timer._next is not None:
            timer._next._previous = timer._previous
        timer._next = None
        timer._previous = None
        timer.armed = False
        self._sizes[index] -= 1
        self.count -= 1

    def _schedule_for(self, timer):
        at: cython.longlong = self._slot_time(timer._level, timer._slot)
        if self._handle is None or at < self._wakes_at:
            self._wake(at)

    def _slot_time(self, level, slot):
        """When the slot comes up next, in slots of the first level."""
        here: cython.longlong = self._at >> (_SHIFT * level)
        ahead: cython.longlong = (slot - here) & (_SLOTS - 1)
        if ahead == 0:
            ahead = _SLOTS
        return (here + ahead) << (_SHIFT * level)

    def _wake(self, at):
        if self._handle is not None:
            self._handle.cancel()
        self._wakes_at = at
        delay: cython.longlong = at * _SLOT_MS - self.now()
        self._handle = self._call_later(delay * 0.001 if delay > 0 else 0.0, self._tick)

    def _schedule(self):
        """Asks for a call at the next slot with a timer in it."""
        level: cython.int
        slot: cython.int
        at: cython.longlong
        first: cython.longlong = -1
        if self.count:
            for level in range(_LEVELS):
                for slot in range(_SLOTS):
                    if self._sizes[level * _SLOTS + slot]:
                        at = self._slot_time(level, slot)
                        if first < 0 or at < first:
                            first = at
        if first >= 0:
            self._wake(first)
        elif self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self._wakes_at = -1

    def tick(self):
        """Runs every slot that has come up."""
        now: cython.longlong = self.now() // _SLOT_MS
        level: cython.int
        self._handle = None
        self._turning = True
        try:
            if now - self._at > _SLOTS << _SHIFT:
                self._catch_up(now)
            while self._at < now and self.count:
                self._at += 1
                level = _LEVELS - 1
                while level > 0:
                    if self._at & ((cython.cast(cython.longlong, 1) << (_SHIFT * level)) - 1) == 0:
                        self._run_slot(level, (self._at >> (_SHIFT * level)) & (_SLOTS - 1))
                    level -= 1
                self._run_slot(0, self._at & (_SLOTS - 1))
            if self._at < now:
                self._at = now
        finally:
            self._turning = False
            self._schedule()

    def _catch_up(self, now):
        """The process slept (a suspended machine): put everything in anew instead of turning through every slot."""
        timers = []
        for index in range(_SLOTS * _LEVELS):
            timer: Timer = self._slots[index]
            while timer is not None:
                timers.append(timer)
                timer = timer._next
        for timer in timers:
            self._unlink(timer)
        self._at = now - 1
        for timer in timers:
            self._insert(timer)

    def _run_slot(self, level, slot):
        index: cython.Py_ssize_t = level * _SLOTS + slot
        now: cython.longlong
        timer: Timer
        due: list
        if self._sizes[index] == 0:
            return
        now = self._at * _SLOT_MS
        due = []
        timer = self._slots[index]
        while timer is not None:
            due.append(timer)
            timer = timer._next
        for timer in due:
            # An earlier one of this turn may have disarmed or re-armed it.
            if not timer.armed or timer._level != level or timer._slot != slot:
                continue
            self._unlink(timer)
            if timer.deadline < now:
                timer._wheel = None
                timer.expire()
            else:
                self._insert(timer)

    def close(self):
        """Forgets the pending call; timers stay as they are and never fire."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._tick = None
        self._call_later = None
