"""Create, tighten, read and write the files that hold one user's state.

On POSIX, folders get mode 0700 and files 0600, whatever the umask is, and what an earlier version
left open to others is tightened when it is opened. Windows keeps its own access lists.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from errno import EINVAL
from pathlib import Path
from secrets import token_hex

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = 0o077  # permissions of the group and of everyone
MAX_BYTES = 20_000_000
MARK = "partial-"  # begins the name of a file that is being written
OUR_FOLDERS = {"kernels", "locks", "logs", "models"}
OUR_SUFFIXES = {
    *(".sqlite", ".sqlite-wal", ".sqlite-shm", ".sqlite-journal"),
    *(".toml", ".json", ".jsonl", ".lock", ".log", ".gguf"),
}
BESIDE_DATABASE = ("-wal", "-shm", "-journal")  # SQLite gives them the mode of the file itself
IS_POSIX = os.name == "posix"


class Unreadable(Exception):
    """A file that cannot be read; the text of the exception is the reason."""


class Missing(Unreadable):
    """There is no file."""


def reason(error: Exception) -> str:
    """Return why a file operation failed, in words."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)


# --- folders


def make_folder(folder: Path) -> None:
    """Create a folder of state, and its missing parents, for this user only; or tighten it."""
    if "\0" in str(folder):
        raise OSError(EINVAL, "the path contains a null character")
    if folder.is_dir():
        tighten_folder(folder)
        return
    missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    for place in reversed(missing):
        place.mkdir(FOLDER_MODE, exist_ok=True)
    folder.mkdir(FOLDER_MODE, exist_ok=True)  # FileExistsError if a file is in its place


def tighten_folder(folder: Path) -> None:
    """Close a folder and the state files in it to other users; do nothing if it is missing.

    A folder keeps its mode if it also holds files of others, or bears the setgid or sticky bit
    of shared folders. The state files in it are closed all the same.
    """
    if not IS_POSIX:
        return
    with suppress(OSError, ValueError):
        state = folder.stat()
        if not state.st_mode & OTHERS:
            return
        entries = list(folder.iterdir())
        for entry in filter(_is_ours, entries):
            tighten(entry)
        shared = state.st_mode & (stat.S_ISGID | stat.S_ISVTX)
        if not shared and _is_own(state) and all(map(_is_ours, entries)):
            folder.chmod(FOLDER_MODE)


def _is_ours(entry: Path) -> bool:
    if entry.name in OUR_FOLDERS:
        return True
    return entry.suffix in OUR_SUFFIXES or entry.name.startswith((".fetching-", f".{MARK}"))


def _is_own(state: os.stat_result) -> bool:
    return IS_POSIX and state.st_uid == os.geteuid()


def unusable(folder: Path) -> str:
    """Return why a path cannot be a folder of state; an empty text if it can be one."""
    try:
        state = folder.stat()
    except FileNotFoundError:
        return "it is a link to a missing folder" if folder.is_symlink() else ""
    except (OSError, ValueError) as error:
        return reason(error)
    return "" if stat.S_ISDIR(state.st_mode) else "it is not a folder"


# --- files


def tighten(path: Path) -> None:
    """Close a file of this user to others; a missing one, or another kind of file, stays."""
    if not IS_POSIX:
        return
    with suppress(OSError, ValueError):
        state = path.stat()
        if stat.S_ISREG(state.st_mode) and state.st_mode & OTHERS and _is_own(state):
            path.chmod(FILE_MODE)


def make_file(path: Path) -> None:
    """Create an empty file that only this user can use, or tighten it with what SQLite keeps."""
    make_folder(path.parent)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
        return
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{path.name} is not a regular file")
    tighten(path)
    for ending in BESIDE_DATABASE:
        tighten(path.with_name(f"{path.name}{ending}"))


def read(path: Path, most: int = MAX_BYTES, errors: str = "strict") -> str:
    """Return the text of a file; Unreadable if it cannot be read, Missing if there is none.

    Invalid UTF-8 is an error unless `errors` is "replace". A byte order mark is skipped, and a
    pipe is not waited for.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            kind = "a folder" if stat.S_ISDIR(state.st_mode) else "no regular file"
            raise Unreadable(f"it is {kind}")
        if state.st_size > most:
            raise Unreadable(f"it has more than {most:,} bytes")
        return path.read_bytes().decode("utf-8-sig", errors)
    except (FileNotFoundError, NotADirectoryError):
        raise Missing("there is no such file") from None
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        raise Unreadable(reason(error)) from None


def write(path: Path, text: str) -> None:
    """Write a file that only this user can use, whole or not at all; raises OSError."""
    make_folder(path.parent)
    partial = path.with_name(f".{MARK}{token_hex(4)}-{path.name}")
    try:
        held = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(held, "w", encoding="utf-8", errors="replace", newline="") as file:
            file.write(text)
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


# --- what others can do


def open_to_others(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield what other users can read or write of a folder of state, and which of the two."""
    if not IS_POSIX:
        return
    with suppress(OSError, ValueError):
        mode = folder.stat().st_mode
        if mode & OTHERS:
            yield folder, _rights(mode)
        if not mode & 0o011:  # without "search", nothing below can be reached
            return
        for entry in sorted(folder.iterdir()):
            if _is_ours(entry):
                yield from _entry_rights(entry)


def _entry_rights(entry: Path) -> Iterator[tuple[Path, str]]:
    mode = entry.lstat().st_mode
    if stat.S_ISDIR(mode):
        yield from open_to_others(entry)
    elif stat.S_ISREG(mode) and mode & 0o066:
        yield entry, _rights(mode)


def _rights(mode: int) -> str:
    can_read, can_write = mode & 0o055, mode & 0o022
    if can_read and can_write:
        return "read and written"
    return "written" if can_write else "read"
