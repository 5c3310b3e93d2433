"""Keep a folder in the browser's IndexedDB, because Pyodide's other files are in memory.

Each kernel has its own copy of the folder. The kernel that saves last determines what is kept.
"""

import asyncio
from pathlib import Path

# Parts of Pyodide. This module is only imported there.
import js
from pyodide.ffi import can_run_sync, create_once_callable, run_sync
from pyodide_js import FS


def mount(folder: Path) -> None:
    """Load a folder from IndexedDB, unless it is loaded, or the browser can't do so."""
    if is_mounted(folder) or not (hasattr(js, "indexedDB") and can_run_sync()):
        return
    FS.mkdirTree(str(folder))
    FS.mount(FS.filesystems.IDBFS, js.Object.new(), str(folder))
    loaded = asyncio.get_event_loop().create_future()
    FS.syncfs(True, create_once_callable(loaded.set_result))  # noqa: FBT003 - from IndexedDB
    run_sync(loaded)


def is_mounted(folder: Path) -> bool:
    """Return whether a folder is kept in IndexedDB."""
    found = FS.analyzePath(str(folder))
    return bool(found.exists and found.object.mount.mountpoint == str(folder))


def save() -> None:
    """Start to save the mounted folders. The browser saves them after the cell."""
    if not FS.syncFSRequests:  # otherwise, the next cell saves the changes
        FS.syncfs(False, create_once_callable(lambda _error: None))  # noqa: FBT003 - to IndexedDB
