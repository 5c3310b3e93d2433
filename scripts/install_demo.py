"""Install the package and JupyterLab with pip, and show the progress (`make demo`).

The complete output of pip is in `install.log` in the virtual environment.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import TextIO

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
    sys.stdout.write(f"Installing cfai-magics and JupyterLab in {sys.prefix} (a few minutes)\n")
    sys.stdout.flush()
    with (
        LOG.open("w", encoding="utf-8") as log,
        subprocess.Popen(  # noqa: S603 - a constant command
            COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        ) as pip,
    ):
        progress = Progress(sys.stdout)
        for line in pip.stdout or ():
            log.write(line)
            progress.add(line)
        progress.end_line()
    if pip.returncode:
        lines = LOG.read_text(encoding="utf-8").splitlines()[-SHOWN_LINES:]
        sys.stdout.write("\n".join([*lines, f"pip failed. Its complete output is in {LOG}.\n"]))
    return pip.returncode


class Progress:
    """A line for each step. In a terminal, there is also a line that counts the packages."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._package_count = 0
        self._width = 0  # of the line that is not complete

    def add(self, line: str) -> None:
        """Show the progress that a line of pip's output reports."""
        for pattern, step in STEPS.items():
            if pattern.match(line):
                self.end_line()
                self._write(f"  {step}\n")
        if package := PACKAGE.match(line):
            self._package_count += 1
            if self._out.isatty():
                text = f"  Downloading packages: {self._package_count} ({package[1]})"
                self._write("\r" + text.ljust(self._width))
                self._width = len(text)
            elif self._package_count == 1:
                self._write("  Downloading packages\n")

    def end_line(self) -> None:
        """Start a new line if the current one is not complete."""
        if self._width:
            self._width = 0
            self._write("\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


if __name__ == "__main__":
    try:
        sys.exit(install())
    except KeyboardInterrupt:
        sys.exit(130)  # 128 + SIGINT, as shells report it
