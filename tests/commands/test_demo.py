"""Test `cfai demo`: download the model, then run JupyterLab on the quickstart notebook."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cfai_magics.cli import main
from cfai_magics.commands import demo
from tests.notebooks import NOTEBOOKS, recording

FAKE_LAB = """
import sys
from pathlib import Path
Path(__file__).with_name("called").write_text("\\n".join(sys.argv[1:]))
raise SystemExit({code})
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path, small_model: Path) -> Path:
    """A fake `jupyterlab` that logs its arguments; the model is already downloaded."""
    (home / "models").mkdir(parents=True)
    (home / "models" / small_model.name).symlink_to(small_model)
    module = tmp_path / "modules" / "jupyterlab.py"
    module.parent.mkdir()
    module.write_text(FAKE_LAB.format(code=0))
    monkeypatch.setenv("PYTHONPATH", str(module.parent))
    return module


def lab_arguments(lab: Path) -> list[str]:
    return lab.with_name("called").read_text().splitlines()


def test_the_demo_opens_the_notebook_of_the_repository(lab: Path) -> None:
    assert main(["demo"]) == 0
    root = ["--allow-root"] if os.getuid() == 0 else []
    assert lab_arguments(lab) == [*root, "--LabApp.default_url=/lab/tree/quickstart.ipynb"]


def test_an_installed_package_opens_a_copy_and_keeps_an_existing_one(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "lib" / "cfai_magics" / "commands" / "demo.py"
    monkeypatch.setattr(demo, "__file__", str(installed))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    shipped = Path(str(demo.files("cfai_magics"))) / "data" / "notebooks"
    if not shipped.exists():  # in a checkout: only a wheel contains them
        data = tmp_path / "installed" / "data"
        shutil.copytree(NOTEBOOKS[0].parent, data / "notebooks", ignore=lambda *_: ["recorder"])
        monkeypatch.setattr(demo, "files", lambda _package: data.parent)
    assert main(["demo"]) == 0
    copy = work / "cfai-notebooks" / "quickstart.ipynb"
    assert lab_arguments(lab)[-1].endswith(f"/lab/tree/{copy.name}")
    for path in NOTEBOOKS:
        assert {path.name, recording(path).name} <= {each.name for each in copy.parent.iterdir()}
    copy.write_text("mine")
    assert main(["demo"]) == 0
    assert copy.read_text() == "mine"


def test_the_demo_fails_if_jupyterlab_fails(
    lab: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.write_text("print('port 8888 is taken')\nraise SystemExit(3)")
    assert main(["demo"]) == 1
    shown = capsys.readouterr().err
    log = home / "logs" / "jupyterlab.log"
    assert "JupyterLab exited with code 3" in shown
    assert f"Its messages are in {log}." in shown
    assert "port 8888 is taken" not in shown
    assert log.read_text() == "port 8888 is taken\n"


def test_the_demo_shows_the_url_of_the_notebook(
    lab: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "http://localhost:8888/lab/tree/quickstart.ipynb?token=abc"
    lab.write_text(
        "import time\n"
        "print('[I] Serving notebooks from local directory', flush=True)\n"
        f"print('[I]     {url}', flush=True)\n"
        "time.sleep(2)\n"
    )
    assert main(["demo"]) == 0
    captured = capsys.readouterr()
    assert f"JupyterLab is running: {url}\nPress Ctrl-C to stop it." in captured.err
    assert "Serving notebooks" not in captured.err
    assert captured.out == "JupyterLab has stopped.\n"
    assert (home / "logs" / "jupyterlab.log").stat().st_mode & 0o777 == 0o600


def test_without_jupyterlab_nothing_is_downloaded(home: Path) -> None:
    code = (
        "import sys; sys.modules['jupyterlab'] = None\n"
        "from cfai_magics.cli import main\n"
        "raise SystemExit(main(['demo']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "pip install jupyterlab" in result.stderr
    assert not (home / "models").exists()


def test_jupyterlab_ends_with_the_demo(lab: Path) -> None:
    lab.write_text(
        "import os, time\nfrom pathlib import Path\n"
        "Path(__file__).with_name('called').write_text(str(os.getpid()))\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-m", "cfai_magics", "demo"]) as process:
        called = lab.with_name("called")
        while not (called.exists() and called.read_text()):
            time.sleep(0.05)
        process.terminate()
    assert process.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(called.read_text()), 0)
