"""A notebook saves an answer once: the outputs are little larger than the answer."""

from typing import Any

import pytest

from tests.saved_answers import kinds, run_cells, saved_bytes, shown_bytes
from tests.standin import Standin

MAX_RATIO = 1.3
KINDS = kinds(4_000)  # characters, about 650 words


@pytest.fixture(scope="module")
def cells(module_cloudflare: Standin, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("home")
    return dict(zip(KINDS, run_cells(module_cloudflare, home, KINDS.values()), strict=True))


@pytest.mark.parametrize("name", ["plain", "reasoning", "columns", "image", "table"])
def test_a_saved_answer_is_little_larger_than_its_text_and_images(
    name: str, cells: dict[str, Any]
) -> None:
    assert saved_bytes(cells[name]) <= MAX_RATIO * shown_bytes(cells[name], KINDS[name])


@pytest.mark.parametrize("name", ["plain", "reasoning", "thread", "table"])
def test_a_saved_answer_has_the_whole_text_once(name: str, cells: dict[str, Any]) -> None:
    contents = [each for output in cells[name]["outputs"] for each in output["data"].values()]
    assert [each for each in contents if KINDS[name].answers[0] in each] == [
        KINDS[name].answers[0]
    ]
