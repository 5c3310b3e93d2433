"""Parse paths typed by users, and write files there."""

import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from errno import EEXIST
from pathlib import Path
from secrets import token_hex

from .errors import InvalidOptionError
from .i18n import _
from .texts import shorten

# Maximum length of a path in an error message. Longer text may be another option's value.
MAX_SHOWN_CHARS = 60


def parse_user_path(value: str | Path) -> Path:
    """Return the path with ~ expanded. Raises InvalidOptionError if it is not a valid path."""
    try:
        path = Path(value).expanduser()
        path.exists()  # raises OSError if it is too long or not allowed
    except (OSError, RuntimeError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        text = str(value)
        shortened = shorten(text, MAX_SHOWN_CHARS)
        raise InvalidOptionError(
            _("{path} is not a valid path: {reason}").format(path=shortened, reason=reason),
            _("Check the path."),
        ) from None
    if "\0" in str(path):
        raise InvalidOptionError(_("The path contains a null character"), _("Check the path."))
    return path


def write_user_file(
    path: Path, chunks: Iterable[bytes], *, overwrite: bool = True, mode: int = 0o666
) -> None:
    """Write a file atomically: an error or an interrupt leaves an existing file unchanged.

    Args:
        path: The file. If it is a link, its target is replaced.
        chunks: The content.
        overwrite: Whether to replace an existing file.
        mode: Permissions of a new file, which the umask restricts.

    Raises:
        FileExistsError: The file exists and `overwrite` is false.
        OSError: The file can't be written.
    """
    target = path.resolve() if overwrite else path
    if overwrite and target.exists() and not target.is_file():  # a pipe or device
        with target.open("wb") as file:
            file.writelines(chunks)
        return
    partial = _name_partial(target)
    try:
        _write_new(partial, chunks, mode)
        if overwrite:
            with suppress(FileNotFoundError):
                partial.chmod(stat.S_IMODE(target.stat().st_mode))
            partial.replace(target)
        else:
            _rename_new(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def write_user_files(content_by_path: Mapping[Path, bytes], *, overwrite: bool) -> None:
    """Write several files: all, or none if there is an error or an interrupt before the last step.

    The last step renames the complete files. If it fails, new files are deleted.

    Args:
        content_by_path: The content of each file. If a path is a link, its target is replaced.
        overwrite: Whether to replace existing files.

    Raises:
        FileExistsError: A file exists and `overwrite` is false.
        OSError: A file can't be written.
    """
    targets = [path.resolve() if overwrite else path for path in content_by_path]
    partials = [_name_partial(target) for target in targets]
    created: list[Path] = []
    try:
        for partial, content in zip(partials, content_by_path.values(), strict=True):
            _write_new(partial, [content])
        for partial, target in zip(partials, targets, strict=True):
            if overwrite and target.is_file():
                partial.chmod(stat.S_IMODE(target.stat().st_mode))
                partial.replace(target)
            else:
                _rename_new(partial, target)
                created.append(target)
    except BaseException:
        for target in created:
            target.unlink(missing_ok=True)
        raise
    finally:
        for partial in partials:
            partial.unlink(missing_ok=True)


def _name_partial(target: Path) -> Path:
    return target.with_name(f".partial-{token_hex(4)}")


def _write_new(path: Path, chunks: Iterable[bytes], mode: int = 0o666) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(chunks)


def _rename_new(partial: Path, target: Path) -> None:
    try:
        os.link(partial, target)  # unlike a rename, this fails if the target exists
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links
        if os.path.lexists(target):
            raise FileExistsError(EEXIST, os.strerror(EEXIST), str(target)) from None
        partial.rename(target)
