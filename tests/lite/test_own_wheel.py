"""The wheel of a site has the installed files, without those that an installer writes."""

import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

from cfai_magics.lite.own_wheel import is_complete, pack_installation

EXTENSION = "share/jupyter/labextensions/cfai-magics/install.json"


def install(root: Path) -> PathDistribution:
    site = root / "lib" / "python3.11" / "site-packages"
    info = "cfai_magics-0.1.0.dist-info"
    files = {
        "cfai_magics/__init__.py": "code",
        "cfai_magics/__pycache__/__init__.cpython-311.pyc": "",
        f"{info}/METADATA": "Name: cfai-magics\nVersion: 0.1.0\n",
        f"{info}/INSTALLER": "pip",
        f"{info}/direct_url.json": '{"url": "file:///home/ada"}',
        "../../../bin/cfai": "script",
        f"../../../{EXTENSION}": "{}",
    }
    for name, content in files.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    record = site / info / "RECORD"
    record.write_text("".join(f"{name},,\n" for name in (*files, f"{info}/RECORD")))
    return PathDistribution(site / info)


def test_the_installed_files_are_packed_as_a_wheel(tmp_path: Path) -> None:
    wheel = pack_installation(install(tmp_path), tmp_path)
    assert wheel.name == "cfai_magics-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        record = archive.read("cfai_magics-0.1.0.dist-info/RECORD").decode()
        names = archive.namelist()
    assert names == [
        "cfai_magics/__init__.py",
        "cfai_magics-0.1.0.dist-info/METADATA",
        f"cfai_magics-0.1.0.data/data/{EXTENSION}",
        "cfai_magics-0.1.0.dist-info/RECORD",
    ]
    assert [line.partition(",")[0] for line in record.splitlines()] == names
    assert is_complete(wheel)
