"""The progress of `make demo`: a line for each step of pip, and no other lines of its output."""

from io import StringIO

import pytest

from scripts.install_demo import Progress

PIP_OUTPUT = """\
Looking in indexes: https://pypi.org/simple
Obtaining file:///work/cfai-magics
  Installing build dependencies: started
  Installing build dependencies: finished with status 'done'
  Preparing editable metadata (pyproject.toml): started
  Preparing editable metadata (pyproject.toml): finished with status 'done'
Collecting jupyterlab
  Downloading jupyterlab-4.6.6-py3-none-any.whl (17.3 MB)
Collecting async-lru>=1.0.0 (from jupyterlab)
  Downloading async_lru-2.4.0-py3-none-any.whl (10 kB)
Installing collected packages: async-lru, jupyterlab
Successfully installed async-lru-2.4.0 jupyterlab-4.6.6
"""


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("out", "download"),
    [
        (StringIO(), "  Downloading packages\n"),
        (
            Terminal(),
            "\r  Downloading packages: 1 (jupyterlab)\r  Downloading packages: 2 (async-lru) \n",
        ),
    ],
    ids=["file", "terminal"],
)
def test_progress_shows_each_step_of_pip(out: StringIO, download: str) -> None:
    progress = Progress(out)
    for line in PIP_OUTPUT.splitlines(keepends=True):
        progress.add(line)
    progress.end_line()
    assert out.getvalue() == (
        "  Installing the build tools\n"
        "  Building the JupyterLab extension (about a minute)\n"
        f"{download}"
        "  Installing the downloaded packages\n"
    )
