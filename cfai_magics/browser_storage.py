"""Keep a folder in the browser's IndexedDB, because Pyodide's other files are in memory.

Each kernel has its own copy of the folder. The kernel that saves last determines what is kept.
"""

import asyncio
from pathlib import Path
from typing import Any

# Parts of Pyodide. This module is only imported there.
import js
from pyodide.ffi import JsException, can_run_sync, create_once_callable, run_sync
from pyodide_js import FS

# The name of the first error of IndexedDB, and "" after its warning; None without errors.
_failure: str | None = None


def mount(folder: Path) -> None:
    """Load a folder from IndexedDB, unless it is loaded, or the browser can't do so."""
    if is_mounted(folder) or not (hasattr(js, "indexedDB") and can_run_sync()):
        return
    FS.mkdirTree(str(folder))
    FS.mount(FS.filesystems.IDBFS, js.Object.new(), str(folder))
    loaded = asyncio.get_event_loop().create_future()
    try:
        FS.syncfs(True, create_once_callable(loaded.set_result))  # noqa: FBT003 - from IndexedDB
        error = run_sync(loaded)
    except JsException as exception:  # the user blocks the storage of sites
        error = exception
    if error:
        FS.unmount(str(folder))
        _report(error)


def take_failure() -> str:
    """Return the name of the first error of IndexedDB, such as QuotaExceededError, once, or ""."""
    global _failure  # noqa: PLW0603 - a kernel has one storage
    name = _failure or ""
    if name:
        _failure = ""
    return name


def _report(error: Any) -> None:
    """Remember an error that IndexedDB passes to a callback, if it is the first one."""
    global _failure  # noqa: PLW0603 - a kernel has one storage
    if error and _failure is None:
        _failure = str(getattr(error, "name", "error"))


def is_mounted(folder: Path) -> bool:
    """Return whether a folder is kept in IndexedDB."""
    found = FS.analyzePath(str(folder))
    return bool(found.exists and found.object.mount.mountpoint == str(folder))


def save() -> None:
    """Start to save the mounted folders. The browser saves them after the cell."""
    if not FS.syncFSRequests:  # otherwise, the next cell saves the changes
        FS.syncfs(False, create_once_callable(_report))  # noqa: FBT003 - to IndexedDB
