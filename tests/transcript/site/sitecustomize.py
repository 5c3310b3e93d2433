"""Give the package a fixed clock and fixed random values in processes of the transcript.

Python imports this module at startup when its folder is on PYTHONPATH. Only imports in modules
of the package are changed; Jupyter, HTTP libraries and SQLite use the real time. The clock is a
file that the session writes, and does not move during a step. A call of `sleep` in the package
moves the clock and returns at once. A timer does nothing, so a single answer has no waiting line.
"""

import builtins
import datetime as dt
import inspect
import os
import random
import threading
import time
from pathlib import Path
from types import ModuleType

PACKAGE = "cfai_magics"
CLOCK = os.environ.get("CFAI_TRANSCRIPT_CLOCK", "")
passed = {"slept": 0.0, "ticked": 0.0}
import_really = builtins.__import__


def read_clock():
    return tuple(map(float, Path(CLOCK).read_text(encoding="ascii").split()))


def now():
    return read_clock()[0] + passed["slept"]


def measure():
    """Return the time for durations; in some steps each call moves it.

    A display calls `update_waiting` as often as the machine is slow, so it does not move the time.
    """
    seconds, tick = read_clock()
    if inspect.currentframe().f_back.f_code.co_name != "update_waiting":
        passed["ticked"] += tick
    return seconds + passed["slept"] + passed["ticked"]


def sleep(seconds):
    passed["slept"] += seconds


class _Meta(type):
    def __instancecheck__(cls, value):
        return isinstance(value, dt.datetime)


class Datetime(dt.datetime, metaclass=_Meta):
    """`datetime` with the fixed clock as the current time."""

    @classmethod
    def now(cls, tz=None):
        return dt.datetime.fromtimestamp(now(), tz)


class Timer(threading.Timer):
    """A timer that does not call its function."""

    def start(self):
        pass


def changed(module, **changes):
    """Return a copy of a module with these names replaced."""
    copy = ModuleType(module.__name__, module.__doc__)
    vars(copy).update(vars(module), **changes)
    return copy


FIXED = {
    "datetime": changed(dt, datetime=Datetime),
    "random": changed(random, random=lambda: 0.0, sample=lambda items, k: list(items)[:k]),
    "threading": changed(threading, Timer=Timer),
    "time": changed(time, time=now, monotonic=measure, perf_counter=measure, sleep=sleep),
}


def import_fixed(name, *args, **kwargs):
    """Import a module; modules of the package receive the fixed modules above."""
    found = import_really(name, *args, **kwargs)
    namespace = (args[0] if args else kwargs.get("globals")) or {}
    level = args[3] if len(args) > 3 else kwargs.get("level", 0)
    importer = str(namespace.get("__name__", "")).partition(".")[0]
    return FIXED.get(name, found) if importer == PACKAGE and not level else found


if CLOCK:
    builtins.__import__ = import_fixed
