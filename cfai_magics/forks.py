"""Run the fork hooks of objects that a forked child must not share with its parent.

Sockets, SQLite connections, file locks and locks of threads are copied by `fork`, but belong to
the parent: two processes that read one socket swap their answers. Each object that owns such a
thing registers here, and lets go of it in the child.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol
from weakref import WeakSet


class ForkAware(Protocol):
    """An object with something that a forked child must not share."""

    def before_fork(self) -> None:
        """Finish and lock what another thread might be changing; runs in the parent."""

    def after_fork(self) -> None:
        """Unlock it again; runs in the parent."""

    def in_child(self) -> None:
        """Replace what belongs to the parent; runs in the child, on its only thread."""


class InChild:
    """The part of a ForkAware object that needs no preparation in the parent."""

    def before_fork(self) -> None:
        """Do nothing."""

    def after_fork(self) -> None:
        """Do nothing."""


class _Forks:
    """The registered objects of this process. An object is not registered while a fork runs."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._aware: WeakSet[ForkAware] = WeakSet()
        self._forking: list[ForkAware] = []
        if hasattr(os, "register_at_fork"):  # not on Windows and in browsers, which cannot fork
            os.register_at_fork(
                before=self._before, after_in_parent=self._after, after_in_child=self._in_child
            )

    def add(self, aware: ForkAware) -> None:
        with self._lock:
            self._aware.add(aware)

    @contextmanager
    def postponed(self) -> Iterator[None]:
        with self._lock:
            yield

    def _before(self) -> None:
        self._lock.acquire()  # two threads may fork at once
        self._forking = list(self._aware)
        for aware in self._forking:
            aware.before_fork()

    def _after(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._lock.release)
            forking, self._forking = self._forking, []
            for aware in forking:
                stack.callback(aware.after_fork)

    def _in_child(self) -> None:
        self._lock = threading.RLock()
        forking, self._forking = self._forking, []
        with ExitStack() as stack:
            for aware in forking:
                stack.callback(aware.in_child)


_FORKS = _Forks()  # one for the process, as its fork hooks cannot be taken back


def register(aware: ForkAware) -> None:
    """Call the object's hooks whenever this process forks, for as long as the object exists."""
    _FORKS.add(aware)


@contextmanager
def postponed() -> Iterator[None]:
    """Let every other thread that forks wait until the block ends."""
    with _FORKS.postponed():
        yield
