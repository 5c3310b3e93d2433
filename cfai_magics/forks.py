"""Run the fork hooks of objects that a forked child must not share with its parent.

`fork` copies sockets, SQLite connections, file locks and thread locks, but they still belong to
the parent. Two processes that read from the same socket receive each other's responses. An object
that owns such a resource registers here, and its hook replaces the resource in the child.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol
from weakref import WeakSet


class ForkAware(Protocol):
    """An object that owns a resource that a forked child must not share."""

    def before_fork(self) -> None:
        """Lock the state that other threads may be changing. Called in the parent."""

    def after_fork_in_parent(self) -> None:
        """Unlock the state. Called in the parent."""

    def after_fork_in_child(self) -> None:
        """Replace the parent's resources. Called in the child, on its only thread."""


class ChildForkHook:
    """Base class of ForkAware objects that need no preparation in the parent."""

    def before_fork(self) -> None:
        """Do nothing."""

    def after_fork_in_parent(self) -> None:
        """Do nothing."""


class _ForkRegistry:
    """The objects registered in this process. `add` waits while a fork is in progress."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._registered: WeakSet[ForkAware] = WeakSet()
        self._forking_objects: list[ForkAware] = []
        if hasattr(os, "register_at_fork"):  # missing on Windows and in browsers
            os.register_at_fork(
                before=self._run_before_hooks,
                after_in_parent=self._run_parent_hooks,
                after_in_child=self._run_child_hooks,
            )

    def add(self, obj: ForkAware) -> None:
        with self._lock:
            self._registered.add(obj)

    @contextmanager
    def postpone(self) -> Iterator[None]:
        with self._lock:
            yield

    def _run_before_hooks(self) -> None:
        self._lock.acquire()  # two threads may fork at the same time
        self._forking_objects = list(self._registered)
        for obj in self._forking_objects:
            obj.before_fork()

    def _run_parent_hooks(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._lock.release)
            objects, self._forking_objects = self._forking_objects, []
            for obj in objects:
                stack.callback(obj.after_fork_in_parent)

    def _run_child_hooks(self) -> None:
        self._lock = threading.RLock()
        objects, self._forking_objects = self._forking_objects, []
        with ExitStack() as stack:
            for obj in objects:
                stack.callback(obj.after_fork_in_child)


_REGISTRY = _ForkRegistry()  # one per process, because fork hooks cannot be unregistered


def register(obj: ForkAware) -> None:
    """Register an object so that its hooks run at each fork. Only a weak reference is stored."""
    _REGISTRY.add(obj)


@contextmanager
def postpone_forks() -> Iterator[None]:
    """Block forks by other threads until the `with` block ends."""
    with _REGISTRY.postpone():
        yield
