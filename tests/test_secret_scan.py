"""Secrets in a notebook are found in all its parts and reported without their text."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from cfai_magics.errors import InvalidOptionError
from cfai_magics.secret import Secret
from cfai_magics.secret_patterns import scan_notebook
from tests.canaries import admin_key, class_key, older_token, token


def write_notebook(tmp_path: Path, *cells: Any, **more: Any) -> Path:
    path = tmp_path / "lesson.ipynb"
    path.write_text(json.dumps({"cells": cells, "nbformat": 4, **more}))
    return path


def code(source: Any, *outputs: Any, **metadata: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": outputs, "metadata": metadata}


@pytest.mark.parametrize("make_token", [token, older_token, class_key, admin_key])
def test_a_secret_is_found_in_source_output_and_metadata(tmp_path: Path, make_token: Any) -> None:
    secret = make_token()
    path = write_notebook(
        tmp_path,
        code(["import os\n", f"os.environ['T'] = '{secret}'\n"]),
        code("1 + 1"),
        code("print(t)", {"output_type": "stream", "text": [f"{secret}\n"]}),
        code("", {"data": {"text/html": f"<b>{secret}</b>", "application/json": {secret: 1}}}),
        code("", kept=[{"token": secret}]),
        metadata={"widgets": {"state": {"x": {"value": secret}}}},
    )
    found = scan_notebook(path)
    assert [each.location for each in found] == [
        "cell 1",
        "cell 3, outputs",
        "cell 4, outputs",
        "cell 5, metadata",
        "the notebook's metadata",
    ]
    assert secret not in str(found)


def test_a_known_secret_is_found_in_any_form_and_named(tmp_path: Path) -> None:
    path = write_notebook(tmp_path, code("key = 'plain words'"))
    assert [each.kind for each in scan_notebook(path, [("the key", Secret("plain words"))])] == [
        "the key"
    ]
    assert scan_notebook(path, [("the key", Secret(""))]) == []


def test_images_and_prose_are_not_secrets(tmp_path: Path) -> None:
    image = base64.b64encode(os.urandom(30_000)).decode()
    path = write_notebook(
        tmp_path,
        code("%%cfai\nWhy is the sky blue?", {"data": {"image/png": image}}),
        {"cell_type": "markdown", "source": "Cloudflare tokens begin with cfut_."},
        {"cell_type": "markdown", "source": "Keys of a class begin with cfs_…."},
        "odd",
    )
    assert scan_notebook(path) == []


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"cells": 3}'])
def test_a_file_that_is_not_a_notebook_is_rejected(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.ipynb").write_text(text)
    with pytest.raises(InvalidOptionError, match="not a notebook"):
        scan_notebook(tmp_path / "x.ipynb")
    with pytest.raises(InvalidOptionError, match="can't be read"):
        scan_notebook(tmp_path / "none.ipynb")
