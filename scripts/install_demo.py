"""Install the package and JupyterLab with pip, and show the progress (`make demo`).

The complete output of pip is in `install.log` in the virtual environment.
"""

import re
import subprocess
import sys
from pathlib import Path

LOG = Path(sys.prefix) / "install.log"
SHOWN_LINES = 30  # the last lines of a failed installation, which contain the reason
COMMAND = (
    *(sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-color"),
    *("--progress-bar", "off", "-e", ".[local]", "jupyterlab"),
)
# The first line of each step in pip's output, and the text to show.
STEPS = {
    re.compile(r"\s*Installing build dependencies: started"): "Installing the build tools",
    re.compile(r"\s*Preparing editable metadata .*started"): (
        "Building the JupyterLab extension (about a minute)"  # by the build hook
    ),
    re.compile(r"Installing collected packages"): "Installing the downloaded packages",
}
PACKAGE = re.compile(r"Collecting (\S+?)(?=[\s;<>=!~(]|$)")


def install() -> int:
    """Run pip, show its progress, and return its exit code."""
    _write(f"Installing cfai-magics and JupyterLab in {sys.prefix} (a few minutes)\n")
    with (
        LOG.open("w", encoding="utf-8") as log,
        subprocess.Popen(  # noqa: S603 - a constant command
            COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        ) as pip,
    ):
        progress = Progress()
        for line in pip.stdout or ():
            log.write(line)
            progress.add(line)
        progress.end_line()
    if pip.returncode:
        lines = LOG.read_text(encoding="utf-8").splitlines()[-SHOWN_LINES:]
        _write("\n".join([*lines, f"pip failed. Its complete output is in {LOG}.\n"]))
    return pip.returncode


class Progress:
    """A line for each step. In a terminal, there is also a line that counts the packages."""

    def __init__(self) -> None:
        self._package_count = 0
        self._width = 0

    def add(self, line: str) -> None:
        """Show the progress that a line of pip's output reports."""
        for pattern, step in STEPS.items():
            if pattern.match(line):
                self.end_line()
                _write(f"  {step}\n")
        if package := PACKAGE.match(line):
            self._package_count += 1
            if self._package_count == 1 or sys.stdout.isatty():
                self._update(f"  Downloading packages: {self._package_count} ({package[1]})")

    def _update(self, text: str) -> None:
        if sys.stdout.isatty():
            _write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            _write("  Downloading packages\n")

    def end_line(self) -> None:
        """Start a new line if the current one is not complete."""
        if self._width:
            self._width = 0
            _write("\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(install())
    except KeyboardInterrupt:
        sys.exit(130)  # 128 + SIGINT, as shells report it
