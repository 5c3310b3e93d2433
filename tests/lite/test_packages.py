"""The lock file of a site has each required package once, with the hash of its wheel."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cfai_magics.errors import SetupError
from cfai_magics.lite.packages import LOCK_NAME, PackageCollector

BASE_URL = "https://pyodide.test/"


def write_wheel(folder: Path, name: str, *requirements: str) -> Path:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    headers = [f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {one}" for one in requirements)]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-1.0.dist-info/METADATA", "\n".join(headers) + "\n\n")
    return path


def locked(name: str, *depends: str, tag: str = "cp314-cp314-wasm32") -> dict[str, Any]:
    return {
        "name": name,
        "version": "2.0",
        "file_name": f"{name}-2.0-{tag}.whl",
        "depends": list(depends),
        "imports": [name],
        "sha256": "00",
    }


@pytest.fixture
def lock() -> dict[str, Any]:
    packages = [locked("matrix", "blas"), locked("blas"), locked("other")]
    return {"info": {"python": "3.14.2"}, "packages": {one["name"]: one for one in packages}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "packages"
    path.mkdir()
    return path


def read_lock(folder: Path) -> dict[str, Any]:
    packages: dict[str, Any] = json.loads((folder / LOCK_NAME).read_text())["packages"]
    return packages


def test_wheels_are_stored_with_what_they_require_in_a_browser(
    lock: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    wheels = [
        write_wheel(
            tmp_path,
            "lesson",
            "Part_A>=1",
            "keyring; sys_platform == 'darwin'",
            "jupyterlab-widgets",
        ),
        write_wheel(tmp_path, "part_a", "lesson", "extra; extra == 'more'"),
    ]
    collector = PackageCollector(lock, folder, wheels, None, BASE_URL)
    collector.add(["lesson"])
    collector.write()
    assert sorted(collector.packages) == ["lesson", "part-a"]
    stored = read_lock(folder)
    assert stored["lesson"]["depends"] == ["part-a"]
    for name in ("lesson", "part-a"):
        content = (folder / stored[name]["file_name"]).read_bytes()
        assert stored[name]["sha256"] == hashlib.sha256(content).hexdigest()
    assert stored["other"]["file_name"] == f"{BASE_URL}other-2.0-cp314-cp314-wasm32.whl"


def test_compiled_packages_keep_their_url(lock: dict[str, Any], folder: Path) -> None:
    collector = PackageCollector(lock, folder, [], None, BASE_URL)
    collector.add(collector.find_modules({"matrix", "json"}))
    collector.write()
    assert sorted(collector.packages) == ["blas", "matrix"]
    assert read_lock(folder)["blas"]["file_name"].startswith(BASE_URL)
    assert [path.name for path in folder.iterdir()] == [LOCK_NAME]


def test_compiled_packages_are_copied_from_a_folder(
    lock: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    for name in ("matrix", "blas"):
        (tmp_path / f"{name}-2.0-cp314-cp314-wasm32.whl").write_text(name)
    collector = PackageCollector(lock, folder, [], tmp_path, BASE_URL)
    collector.add(["matrix"])
    collector.write()
    for name in ("matrix", "blas"):
        assert (folder / read_lock(folder)[name]["file_name"]).read_text() == name


def test_a_missing_compiled_package_is_named(
    lock: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    collector = PackageCollector(lock, folder, [], tmp_path, BASE_URL)
    with pytest.raises(SetupError, match="does not contain the package matrix") as error:
        collector.add(["matrix"])
    assert "matrix-2.0-cp314-cp314-wasm32.whl" in error.value.hint
