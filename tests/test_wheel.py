"""The archives contain all files that users need, and no data of the build machine."""

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
BYTES_ALLOWED = 2_000_000  # of an archive; the lessons have outputs with images


def hatchling(target: str, source: Path, into: Path, **environment: str) -> Path:
    """Build the source into the folder with hatchling only; return the built file."""
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
    """Return the unpacked source distribution of this checkout."""
    folder = tmp_path_factory.mktemp("sdist")
    archive = hatchling("sdist", ROOT, folder)
    assert archive.stat().st_size < BYTES_ALLOWED
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of that source, built with an empty PATH."""
    return hatchling("wheel", sdist, tmp_path_factory.mktemp("wheel"), PATH="")


@pytest.fixture
def unbuilt(sdist: Path, tmp_path: Path) -> Path:
    """Return a checkout without a built JupyterLab extension."""
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
        "cfai_magics/data/class_server/wrangler.jsonc",
        *(
            f"cfai_magics/data/class_server/src/{path.name}"
            for path in (ROOT / "class-server" / "src").iterdir()
        ),
        "cfai_magics/locale/zh_CN/LC_MESSAGES/cfai_magics.json",
        "cfai_magics/locale/zh_CN/LC_MESSAGES/cfai_magics.mo",
        f"{LAB}/install.json",
        f"{LAB}/package.json",
        f"{LAB}/static/style.js",
        *(
            f"{LAB}/schemas/cfai-magics/{path.name}"
            for path in (ROOT / "labextension" / "schema").iterdir()
        ),
    ],
)
def test_the_wheel_contains_the_file(name: str, wheel: Path) -> None:
    assert name in files(wheel)


def test_the_wheel_contains_each_file_once(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
    assert sorted(names) == sorted(set(names))


def test_the_wheel_contains_the_bundle_of_its_package_json(wheel: Path) -> None:
    contents = files(wheel)
    built = json.loads(contents[f"{LAB}/package.json"])["jupyterlab"]["_build"]
    assert built["load"].startswith("static/remoteEntry.")
    assert f"{LAB}/{built['load']}" in contents


def test_the_wheel_and_its_parts_have_one_version(wheel: Path) -> None:
    contents = files(wheel)
    metadata = contents[f"cfai_magics-{VERSION}.dist-info/METADATA"].decode()
    assert f"\nVersion: {VERSION}\n" in metadata
    assert json.loads(contents[f"{LAB}/package.json"])["version"] == VERSION


def test_the_archives_contain_no_data_of_the_build_machine(wheel: Path, sdist: Path) -> None:
    names = [*files(wheel), *(str(path.relative_to(sdist)) for path in sdist.rglob("*"))]
    unwanted = (
        "node_modules",
        ".venv",
        "/lib/",
        ".yarn/",
        "build_log.json",
        ".js.map",
        "__pycache__",
    )
    assert [name for name in names if any(part in name for part in unwanted)] == []
    here = (str(ROOT).encode(), str(sdist).encode())
    assert [name for name, data in files(wheel).items() if any(p in data for p in here)] == []
    assert wheel.stat().st_size < BYTES_ALLOWED


def test_a_failed_build_ends_with_a_one_line_suggestion(unbuilt: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, script in {"node": "echo v22.0.0", "jlpm": "echo no such host; exit 1"}.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    done = run_hatchling("wheel", unbuilt, tmp_path / "wheel", PATH=str(tools))
    assert done.returncode == 1
    *_, reason, advice = done.stdout.splitlines()
    assert reason == "no such host"
    assert "the JupyterLab extension was not built: jlpm install failed" in advice
    assert "CFAI_NO_LABEXTENSION=1" in advice


def test_the_package_can_be_built_without_the_jupyterlab_part(
    unbuilt: Path, tmp_path: Path
) -> None:
    built = hatchling("wheel", unbuilt, tmp_path / "wheel", PATH="", CFAI_NO_LABEXTENSION="1")
    assert "cfai_magics/__init__.py" in files(built)
    assert not any(name.startswith(LAB) for name in files(built))
