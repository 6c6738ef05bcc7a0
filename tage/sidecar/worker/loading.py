"""Code that users wrote may take its time to load: that is done on a thread beside the traffic, which the interpreter
lets have its turn every millisecond meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from tage.dataplane.filters.python.loader import LoadError, described

LOAD_SECONDS = 6.0
"""For all of one kind in a plan. The supervisor waits longer for an answer to Prepare."""
SWITCH_SECONDS = 0.001
"""The longest that loading keeps the traffic waiting, as far as it is Python that runs."""

T = TypeVar("T")


class Loader:
    """For the thread of the worker's loop. `what` is the word for what it loads; whoever loads says in `label` which of
    them is under way."""

    def __init__(self, what: str) -> None:
        self.label = ""
        self._what = what
        self._done = threading.Event()
        """Not set while a thread loads."""
        self._done.set()

    @property
    def idle(self) -> bool:
        return self._done.is_set()

    async def run(self, load: Callable[[], T]) -> T:
        """What `load` gives, called on the thread; one at a time. Raises ValueError with what it says in a `LoadError`,
        or for one that takes too long, which goes on and is not heard any more."""
        if not self.idle:
            raise ValueError(f"{self._what} {self.label} is still being loaded, for a plan before this one")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T | LoadError] = loop.create_future()

        def run() -> None:
            made = self._made(load)
            self._done.set()
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody is left to tell
                loop.call_soon_threadsafe(_deliver, done, made)

        self._done.clear()
        with _short_turns():
            threading.Thread(target=run, name=f"{self._what} loader", daemon=True).start()
            try:
                async with asyncio.timeout(LOAD_SECONDS):
                    found = await done
            except TimeoutError:
                raise ValueError(f"{self._what} {self.label} does not load within {LOAD_SECONDS:g} s") from None
        if isinstance(found, LoadError):
            raise ValueError(f"{self._what} {found}")
        return found

    def _made(self, load: Callable[[], T]) -> T | LoadError:
        try:
            return load()
        except LoadError as error:
            return error
        except BaseException as error:  # a metaclass or a descriptor of the user's: it must not end the thread unheard
            return LoadError(f"{self.label}: {described(error)}")


def _deliver(future: asyncio.Future[T | LoadError], made: T | LoadError) -> None:
    if not future.done():
        future.set_result(made)


@contextlib.contextmanager
def _short_turns() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
