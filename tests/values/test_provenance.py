"""What an answer bears of where it comes from."""

import pytest

from cfai_magics.values import Answer
from cfai_magics.values.provenance import Origin, Recorded, metadata_of_all, together

LIVE = Origin("a")
FEW, MANY = (
    Origin("b", recorded=Recorded("2026-10-12", 2.0)),
    Origin("c", recorded=Recorded("2026-10-12", 3.0)),
)
UNKNOWN = Origin("d", recorded=Recorded("2026-10-12"))


@pytest.mark.parametrize(
    ("origins", "hashed", "neurons"),
    [
        ([FEW, MANY], "c", 5.0),
        ([MANY], "c", 3.0),
        ([FEW, UNKNOWN], "d", None),
    ],
    ids=["both", "one", "one unknown"],
)
def test_an_answer_of_several_replays_would_cost_what_all_would(
    origins: list[Origin], hashed: str, neurons: float | None
) -> None:
    found = together(origins)
    assert found.request == hashed
    assert found.recorded == Recorded("2026-10-12", neurons)


@pytest.mark.parametrize("origins", [[LIVE, FEW], [FEW, LIVE], [LIVE]], ids=str)
def test_an_answer_is_no_replay_where_something_was_asked(origins: list[Origin]) -> None:
    assert together(origins).recorded is None


def test_of_several_answers_those_that_came_are_told() -> None:
    answers = (Answer("m", "Yes.", origin=LIVE), Answer("n"))
    (told,) = metadata_of_all(answers)["application/vnd.cfai+json"]["answers"]
    assert (told["model"], told["request"]) == ("m", "a")
