"""Create, read and write state files that only the current user can access.

On POSIX, folders get mode 0700 and files get mode 0600, regardless of the umask. Files that an
earlier version left readable by others are restricted when they are opened. On Windows, access
control lists are left unchanged.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from errno import EINVAL
from pathlib import Path
from secrets import token_hex

from .i18n import _

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS_MASK = 0o077  # permissions of the group and of others
MAX_BYTES = 20_000_000
TEMP_FILE_PREFIX = "partial-"  # for files being written
STATE_FOLDERS = {"kernels", "locks", "logs", "models"}
STATE_SUFFIXES = {
    *(".sqlite", ".sqlite-wal", ".sqlite-shm", ".sqlite-journal"),
    *(".toml", ".json", ".jsonl", ".lock", ".log", ".gguf"),
}
# SQLite creates these files with the same mode as the database file.
SQLITE_SIDE_FILE_SUFFIXES = (
    "-wal",
    "-shm",
    "-journal",
)
IS_POSIX = os.name == "posix"


class UnreadableFileError(Exception):
    """The file can't be read. The exception's text is the reason."""


class MissingFileError(UnreadableFileError):
    """The file does not exist."""


def describe_error(error: Exception) -> str:
    """Return the reason why a file operation failed."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)


# --- folders


def create_folder(folder: Path) -> None:
    """Create a state folder and its missing parents, or restrict an existing folder.

    Only the current user can access the created folders.

    Raises:
        OSError: The path is not valid, or the folder can't be created.
    """
    if "\0" in str(folder):
        raise OSError(EINVAL, _("the path contains a null character"))
    if folder.is_dir():
        restrict_folder(folder)
        return
    missing_folders = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    for missing_folder in reversed(missing_folders):
        missing_folder.mkdir(FOLDER_MODE, exist_ok=True)
    folder.mkdir(FOLDER_MODE, exist_ok=True)  # raises FileExistsError if the path is a file


def restrict_folder(folder: Path) -> None:
    """Remove other users' permissions on a folder and on its state files, if the folder exists.

    The folder keeps its mode if it also contains other files, or if its setgid or sticky bit
    is set, as in shared folders. Its state files are always restricted.
    """
    if not IS_POSIX:
        return
    with suppress(OSError, ValueError):
        folder_stat = folder.stat()
        if not folder_stat.st_mode & OTHERS_MASK:
            return
        entries = list(folder.iterdir())
        for entry in filter(_is_state_entry, entries):
            restrict_file(entry)
        shared_bits = folder_stat.st_mode & (stat.S_ISGID | stat.S_ISVTX)
        if (
            not shared_bits
            and _is_owned_by_user(folder_stat)
            and all(map(_is_state_entry, entries))
        ):
            folder.chmod(FOLDER_MODE)


def _is_state_entry(entry: Path) -> bool:
    if entry.name in STATE_FOLDERS:
        return True
    return entry.suffix in STATE_SUFFIXES or entry.name.startswith(
        (".fetching-", f".{TEMP_FILE_PREFIX}")
    )


def _is_owned_by_user(file_stat: os.stat_result) -> bool:
    if not IS_POSIX:
        return False
    # Pyodide has no geteuid.
    user_id = os.geteuid() if hasattr(os, "geteuid") else os.getuid()
    return file_stat.st_uid == user_id


def get_unusable_reason(folder: Path) -> str:
    """Return the reason why a path can't be used as the state folder, or "" if it can."""
    try:
        folder_stat = folder.stat()
    except FileNotFoundError:
        return _("it is a link to a missing folder") if folder.is_symlink() else ""
    except (OSError, ValueError) as error:
        return describe_error(error)
    return "" if stat.S_ISDIR(folder_stat.st_mode) else _("it is not a folder")


# --- files


def restrict_file(path: Path) -> None:
    """Remove other users' permissions on a regular file owned by this user. Ignore other paths."""
    if not IS_POSIX:
        return
    with suppress(OSError, ValueError):
        file_stat = path.stat()
        if (
            stat.S_ISREG(file_stat.st_mode)
            and file_stat.st_mode & OTHERS_MASK
            and _is_owned_by_user(file_stat)
        ):
            path.chmod(FILE_MODE)


def create_file(path: Path) -> None:
    """Create an empty file that only this user can access.

    If the file already exists, only the current user may access it and its SQLite sidecars.

    Raises:
        OSError: The path is not a regular file.
    """
    create_folder(path.parent)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
        return
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(_("{name} is not a regular file").format(name=path.name))
    restrict_file(path)
    for suffix in SQLITE_SIDE_FILE_SUFFIXES:
        restrict_file(path.with_name(f"{path.name}{suffix}"))


def read_text(path: Path, max_bytes: int = MAX_BYTES, errors: str = "strict") -> str:
    """Return the text of a UTF-8 file, without its byte order mark.

    Args:
        path: The file.
        max_bytes: Maximum size of the file, in bytes.
        errors: "strict", or "replace" to accept invalid UTF-8.

    Raises:
        MissingFileError: The file does not exist.
        UnreadableFileError: The path is not a regular file, or the file can't be read, is larger
            than `max_bytes` or is not UTF-8.
    """
    try:
        file_stat = path.stat()
        if not stat.S_ISREG(file_stat.st_mode):
            raise UnreadableFileError(
                _("it is a folder")
                if stat.S_ISDIR(file_stat.st_mode)
                else _("it is not a regular file")
            )
        if file_stat.st_size > max_bytes:
            raise UnreadableFileError(
                _("it is larger than {max_bytes:,} bytes").format(max_bytes=max_bytes)
            )
        return path.read_bytes().decode("utf-8-sig", errors)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(_("the file does not exist")) from None
    except UnicodeDecodeError:
        raise UnreadableFileError(_("it is not UTF-8 text")) from None
    except (OSError, ValueError) as error:
        raise UnreadableFileError(describe_error(error)) from None


def write_text(path: Path, text: str) -> None:
    """Write a file atomically, for this user only. Raises OSError if it can't be written."""
    create_folder(path.parent)
    temp_path = path.with_name(f".{TEMP_FILE_PREFIX}{token_hex(4)}-{path.name}")
    try:
        descriptor = os.open(temp_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:
            file.write(text)
        temp_path.replace(path)
    finally:
        with suppress(OSError):
            temp_path.unlink(missing_ok=True)


# --- exposure to other users


def iter_exposed_entries(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each path in a state folder that other users can access, with the type of access."""
    if not IS_POSIX:
        return
    with suppress(OSError, ValueError):
        mode = folder.stat().st_mode
        if mode & OTHERS_MASK:
            yield folder, _describe_exposure(mode)
        if not mode & 0o011:  # without the search bit, entries are unreachable
            return
        for entry in sorted(folder.iterdir()):
            if _is_state_entry(entry):
                yield from _iter_exposed_entry(entry)


def _iter_exposed_entry(entry: Path) -> Iterator[tuple[Path, str]]:
    mode = entry.lstat().st_mode
    if stat.S_ISDIR(mode):
        yield from iter_exposed_entries(entry)
    elif stat.S_ISREG(mode) and mode & 0o066:
        yield entry, _describe_exposure(mode)


def _describe_exposure(mode: int) -> str:
    can_read, can_write = mode & 0o055, mode & 0o022
    if can_read and can_write:
        return _("read and written")
    return _("written") if can_write else _("read")
