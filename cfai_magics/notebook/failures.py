"""Owns what failed in this kernel: each failed cell with its traceback, by the number it bears."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from traceback import TracebackException
from typing import Any

from ..errors import CfaiError

FILE = re.compile(r'File "([^"\n]+)"')
IPYTHON = ("/IPython/core/", "/ipykernel/")
NameOf = Callable[[str], tuple[str, str] | None]


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed cell: its number, its source as typed, and the traceback as Python writes it."""

    number: int
    source: str
    traceback: str

    @property
    def last_line(self) -> str:
        """The traceback's last line, which names the error."""
        return self.traceback.rpartition("\n")[2]


class Failures:
    """The tracebacks by number, `Err[3]`; as text, `Err` is the last."""

    def __init__(self, name_of: NameOf) -> None:
        self._name_of = name_of
        self._kept: dict[int, Failure] = {}
        self._seen: BaseException | None = getattr(sys, "last_value", None)

    def note(self, result: Any) -> None:
        """Keep what failed; IPython calls this after each cell (post_run_cell).

        The number is the result's own: the shell's counter is one further on some versions.
        """
        shown = self._newly_shown()
        error = result.error_before_exec or result.error_in_exec or shown
        ours = isinstance(error, (CfaiError, KeyboardInterrupt, SystemExit))
        if error is None or ours or not result.execution_count:
            return
        self._kept.pop(result.execution_count, None)  # so that the last stands last
        told = told_by(error, self._name_of)
        self._kept[result.execution_count] = Failure(
            result.execution_count, result.info.raw_cell, told
        )

    def _newly_shown(self) -> BaseException | None:
        """Return what a magic such as IPython 8's %%time caught and showed itself."""
        last = getattr(sys, "last_value", None)
        newly, self._seen = (None if last is self._seen else last), last
        return newly

    def find(self, number: int | None = None) -> Failure | None:
        """Return the failure of a cell, or the last of all; None where there is none."""
        if number is not None:
            return self._kept.get(number)
        return next(reversed(self._kept.values()), None)

    def __getitem__(self, number: int) -> str:
        if number not in self._kept:
            raise LookupError(f"In[{number}] did not fail")
        return self._kept[number].traceback

    def __str__(self) -> str:
        last = self.find()
        if last is None:
            raise LookupError("no cell has failed so far")
        return last.traceback


def told_by(error: BaseException, name_of: NameOf) -> str:
    """Return the traceback without IPython's own frames, the cells called In[N], home called ~."""
    told = TracebackException.from_exception(error)
    _leave_out_ipython(told)
    home = str(Path.home())

    def renamed(match: re.Match[str]) -> str:
        name = name_of(match[1])
        return f'File "{name[1] if name else match[1].replace(home, "~", 1)}"'

    return FILE.sub(renamed, "".join(told.format())).rstrip()


def _leave_out_ipython(told: TracebackException) -> None:
    kept = [f for f in told.stack if not any(p in _posix(f.filename) for p in IPYTHON)]
    told.stack[:] = kept
    for other in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if other is not None:
            _leave_out_ipython(other)


def _posix(path: str) -> str:
    return path.replace("\\", "/")
