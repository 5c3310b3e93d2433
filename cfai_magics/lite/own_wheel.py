"""Write a wheel of the installed cfai-magics, because an installation keeps no wheel file."""

import os
import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from ..errors import SetupError
from ..i18n import _

DISTRIBUTION = "cfai-magics"
REPOSITORY = Path(__file__).parents[2]
# Files that the installer writes.
INSTALLER_FILES = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")
SHARED_FOLDER = "share"  # relative to the environment, with the JupyterLab extension
SHOWN_LINES = 10  # the last lines of a failed command


def write_own_wheel(folder: Path) -> Path:
    """Write a wheel of this package with its JupyterLab extension, and return its path.

    In a repository checkout, the wheel is built from the sources. Otherwise, it has the files that
    are installed.

    Raises:
        SetupError: The wheel can't be built, or the installation is not complete.
    """
    if (REPOSITORY / "pyproject.toml").is_file():
        run_pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(REPOSITORY))
        return next(folder.glob("cfai_magics-*.whl"))
    try:
        installed = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        raise SetupError(
            _("{package} is not installed").format(package=DISTRIBUTION),
            _("Run pip install {package}.").format(package=DISTRIBUTION),
        ) from None
    return pack_installation(installed, folder)


def run_pip(*arguments: str) -> None:
    """Run pip with the user's settings, such as the package index.

    Raises:
        SetupError: pip failed. The message has its last lines.
    """
    failure = run_module("pip", "--disable-pip-version-check", "--quiet", *arguments)
    if failure is not None:
        raise SetupError(
            _("pip {command} failed:\n{output}").format(command=arguments[0], output=failure),
            _("Check that pip can reach its package index."),
        )


def run_module(*arguments: str, folder: Path | None = None) -> str | None:
    """Run a Python module, and return the last lines of its output if it fails."""
    done = subprocess.run(  # noqa: S603 - no shell, and pip checks the names of packages
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONUTF8": "1"},
        check=False,
        encoding="utf-8",
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    return "\n".join(done.stdout.splitlines()[-SHOWN_LINES:]) if done.returncode else None


def pack_installation(installed: Distribution, folder: Path) -> Path:
    """Write a wheel of the files of an installed distribution, and return its path."""
    base = f"cfai_magics-{installed.version}"
    wheel = folder / f"{base}-py3-none-any.whl"
    record: list[str] = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, source in _iter_files(installed, base):
            content = source.read_bytes()
            digest = urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}")
            archive.writestr(name, content)
        record_name = f"{base}.dist-info/RECORD"
        archive.writestr(record_name, "\n".join((*record, f"{record_name},,", "")))
    return wheel


def _iter_files(installed: Distribution, base: str) -> Iterator[tuple[str, Path]]:
    """Yield the name in the wheel and the path of each file that came from a wheel."""
    for file in installed.files or ():
        path = PurePosixPath(file)
        if path.name in INSTALLER_FILES or path.suffix == ".pyc":
            continue
        parts = [part for part in path.parts if part != ".."]
        if parts == list(path.parts):
            yield str(path), Path(str(file.locate()))
        elif SHARED_FOLDER in parts:
            shared = PurePosixPath(*parts[parts.index(SHARED_FOLDER) :])
            yield f"{base}.data/data/{shared}", Path(str(file.locate()))


def is_complete(wheel: Path) -> bool:
    """Return whether a wheel has the JupyterLab extension."""
    with zipfile.ZipFile(wheel) as archive:
        return any(name.endswith("/install.json") for name in archive.namelist())
