"""The metadata on the origin of an answer."""

import pytest

from cfai_magics.types.messages import Answer
from cfai_magics.types.provenance import (
    Provenance,
    RecordingInfo,
    combine_provenance,
    group_metadata,
)

LIVE = Provenance("a")
FEW, MANY = (
    Provenance("b", recording=RecordingInfo("2026-10-12", 2.0)),
    Provenance("c", recording=RecordingInfo("2026-10-12", 3.0)),
)
UNKNOWN = Provenance("d", recording=RecordingInfo("2026-10-12"))


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
    origins: list[Provenance], hashed: str, neurons: float | None
) -> None:
    found = combine_provenance(origins)
    assert found.request_fingerprint == hashed
    assert found.recording == RecordingInfo("2026-10-12", neurons)


@pytest.mark.parametrize("origins", [[LIVE, FEW], [FEW, LIVE], [LIVE]], ids=str)
def test_an_answer_is_no_replay_where_something_was_asked(origins: list[Provenance]) -> None:
    assert combine_provenance(origins).recording is None


def test_of_several_answers_those_that_came_are_told() -> None:
    answers = (Answer("m", "Yes.", provenance=LIVE), Answer("n"))
    (told,) = group_metadata(answers)["application/vnd.cfai+json"]["answers"]
    assert (told["model"], told["request"]) == ("m", "a")
