"""What is published holds all that a user needs, nothing of the machine that built it."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.notebooks import NOTEBOOKS, recording

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PACKAGE = json.loads((ROOT / "labextension" / "package.json").read_text(encoding="utf-8"))
VERSION = PACKAGE["version"]
LAB = f"cfai_magics-{VERSION}.data/data/share/jupyter/labextensions/cfai-magics"
BYTES_ALLOWED = 1_500_000


def hatchling(target: str, source: Path, into: Path, **environment: str) -> Path:
    """Build the source in the folder given, with nothing but hatchling."""
    done = run_hatchling(target, source, into, **environment)
    assert done.returncode == 0, done.stdout
    return next(into.iterdir())


def run_hatchling(
    target: str, source: Path, into: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", into],
        cwd=source,
        env={**os.environ, **environment},
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of this checkout, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    archive = hatchling("sdist", ROOT, folder)
    assert archive.stat().st_size < BYTES_ALLOWED
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of that source, made where no other program can be found."""
    return hatchling("wheel", sdist, tmp_path_factory.mktemp("wheel"), PATH="")


@pytest.fixture
def unbuilt(sdist: Path, tmp_path: Path) -> Path:
    """A checkout in which the JupyterLab part was never built."""
    folder = tmp_path / "unbuilt"
    shutil.copytree(sdist, folder)
    (folder / "PKG-INFO").unlink()
    (folder / "cfai_magics" / "labextension" / "package.json").unlink()
    return folder


def files(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


@pytest.mark.parametrize(
    "name",
    [
        "cfai_magics/py.typed",
        "cfai_magics/data/models.csv",
        "cfai_magics/data/neurons.csv",
        "cfai_magics/data/notebooks/timetable.png",
        *(f"cfai_magics/data/notebooks/{path.name}" for path in NOTEBOOKS),
        *(f"cfai_magics/data/notebooks/{recording(path).name}" for path in NOTEBOOKS),
        "cfai_magics/locale/zh_CN/LC_MESSAGES/cfai_magics.json",
        f"{LAB}/install.json",
        f"{LAB}/package.json",
        f"{LAB}/static/style.js",
        *(
            f"{LAB}/schemas/cfai-magics/{path.name}"
            for path in (ROOT / "labextension" / "schema").iterdir()
        ),
    ],
)
def test_the_wheel_holds(name: str, wheel: Path) -> None:
    assert name in files(wheel)


def test_the_wheel_holds_nothing_twice(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
    assert sorted(names) == sorted(set(names))


def test_the_wheel_holds_the_bundle_that_its_package_json_loads(wheel: Path) -> None:
    held = files(wheel)
    built = json.loads(held[f"{LAB}/package.json"])["jupyterlab"]["_build"]
    assert built["load"].startswith("static/remoteEntry.")
    assert f"{LAB}/{built['load']}" in held


def test_one_version_names_the_wheel_and_both_its_parts(wheel: Path) -> None:
    held = files(wheel)
    metadata = held[f"cfai_magics-{VERSION}.dist-info/METADATA"].decode()
    assert f"\nVersion: {VERSION}\n" in metadata
    assert json.loads(held[f"{LAB}/package.json"])["version"] == VERSION


def test_nothing_of_the_building_machine_is_published(wheel: Path, sdist: Path) -> None:
    names = [*files(wheel), *(str(path.relative_to(sdist)) for path in sdist.rglob("*"))]
    unwanted = ("node_modules", "/lib/", ".yarn/", "build_log.json", ".js.map", "__pycache__")
    assert [name for name in names if any(part in name for part in unwanted)] == []
    here = (str(ROOT).encode(), str(sdist).encode())
    assert [name for name, data in files(wheel).items() if any(p in data for p in here)] == []
    assert wheel.stat().st_size < BYTES_ALLOWED


def test_a_failed_build_ends_with_one_line_that_says_what_to_do(
    unbuilt: Path, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, says in {"node": "echo v22.0.0", "jlpm": "echo no such host; exit 1"}.items():
        (tools / name).write_text(f"#!/bin/sh\n{says}\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    done = run_hatchling("wheel", unbuilt, tmp_path / "wheel", PATH=str(tools))
    assert done.returncode == 1
    *_, reason, advice = done.stdout.splitlines()
    assert reason == "no such host"
    assert "the JupyterLab part was not built: jlpm install failed" in advice
    assert "CFAI_NO_LABEXTENSION=1" in advice


def test_the_package_can_be_built_without_the_jupyterlab_part(
    unbuilt: Path, tmp_path: Path
) -> None:
    made = hatchling("wheel", unbuilt, tmp_path / "wheel", PATH="", CFAI_NO_LABEXTENSION="1")
    assert "cfai_magics/__init__.py" in files(made)
    assert not any(name.startswith(LAB) for name in files(made))
