"""Test the metadata on the origin of an answer."""

import pytest

from cfai_magics.types.messages import Answer
from cfai_magics.types.provenance import (
    METADATA_MIME_TYPE,
    Provenance,
    RecordingInfo,
    combine_provenance,
    group_metadata,
    split_group_metadata,
)

LIVE = Provenance("a")
FEW, MANY = (
    Provenance("b", recording=RecordingInfo("2026-10-12", 2.0)),
    Provenance("c", recording=RecordingInfo("2026-10-12", 3.0)),
)
UNKNOWN = Provenance("d", recording=RecordingInfo("2026-10-12"))


@pytest.mark.parametrize(
    ("origins", "fingerprint", "neurons"),
    [
        ([FEW, MANY], "c", 5.0),
        ([MANY], "c", 3.0),
        ([FEW, UNKNOWN], "d", None),
    ],
    ids=["both", "one", "one unknown"],
)
def test_a_combined_replay_costs_the_sum_of_its_recordings(
    origins: list[Provenance], fingerprint: str, neurons: float | None
) -> None:
    combined = combine_provenance(origins)
    assert combined.request_fingerprint == fingerprint
    assert combined.recording == RecordingInfo("2026-10-12", neurons)


@pytest.mark.parametrize("origins", [[LIVE, FEW], [FEW, LIVE], [LIVE]], ids=str)
def test_an_answer_with_a_live_part_is_not_a_replay(origins: list[Provenance]) -> None:
    assert combine_provenance(origins).recording is None


def test_group_metadata_lists_only_received_answers() -> None:
    answers = (Answer("m", "Yes.", provenance=LIVE), Answer("n"))
    (entry,) = split_group_metadata(group_metadata(answers)[METADATA_MIME_TYPE])
    assert (entry["model"], entry["request"]) == ("m", "a")


def test_group_metadata_saves_shared_values_once() -> None:
    answers = [Answer(model, "Yes.", provenance=LIVE) for model in ("m", "n", "m")]
    group = group_metadata(answers)[METADATA_MIME_TYPE]
    assert group["request"] == "a"
    assert group["answers"] == [{"model": "m"}, {"model": "n"}, {"model": "m"}]
    assert split_group_metadata(group) == [
        answer.provenance.to_metadata(answer) for answer in answers
    ]
