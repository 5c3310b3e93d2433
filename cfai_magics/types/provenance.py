"""The origin of an answer: its request, the recording, and the metadata of its output."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

METADATA_MIME_TYPE = "application/vnd.cfai+json"


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """The recording that an answer was replayed from.

    `date` is the ISO date of the recording. `neurons` is about what a new call would cost: None if
    unknown, 0 for a local model. `model` answered the recorded call, and `is_local` says whether
    it was a local model. `version` is the package version at that time.
    """

    date: str
    neurons: float | None = None
    version: str = ""
    model: str = ""
    is_local: bool = False


def output_metadata(answer: Any) -> dict[str, Any]:
    """Return the notebook output metadata of an Answer, by its MIME type."""
    return {METADATA_MIME_TYPE: answer.provenance.to_metadata(answer)}


def group_metadata(answers: Iterable[Any]) -> dict[str, Any]:
    """Return the notebook output metadata of several Answers, without empty ones."""
    answers_metadata = [
        answer.provenance.to_metadata(answer)
        for answer in answers
        if answer.text or answer.reasoning
    ]
    return {METADATA_MIME_TYPE: {"answers": answers_metadata}}


def combine_provenance(provenances: Sequence["Provenance"]) -> "Provenance":
    """Return the provenance of an answer that took several calls: that of the last call.

    It is replayed only if all calls were. The recording then has the neurons of all calls.
    """
    last, recordings = (
        provenances[-1],
        [provenance.recording for provenance in provenances if provenance.recording],
    )
    if last.recording is None or len(recordings) < len(provenances):
        return replace(last, recording=None)
    known_neurons = [
        recording.neurons for recording in recordings if recording.neurons is not None
    ]
    neurons = sum(known_neurons) if len(known_neurons) == len(recordings) else None
    return replace(last, recording=replace(last.recording, neurons=neurons))


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an answer comes from: its request, its time, and the recording if it is replayed.

    Attributes:
        request_fingerprint: Hash of all fields that the answer depends on.
        parameters: The fields of the request, without the text of the question.
        asked_at: ISO time in UTC.
        version: Version of this package.
        recording: The recording that was replayed; None for an answer of a model.
    """

    request_fingerprint: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    asked_at: str = ""
    version: str = ""
    recording: RecordingInfo | None = None

    def to_metadata(self, answer: Any) -> dict[str, Any]:
        """Return the metadata of an Answer; it does not contain the question or the account."""
        usage = answer.usage
        metadata = {
            "model": answer.model,
            "local": answer.is_local,
            "parameters": dict(self.parameters),
            "request": self.request_fingerprint,
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "cached_tokens": usage.cached_tokens,
                "completion_tokens": usage.completion_tokens,
                "neurons": usage.neurons,
            },
            "basis": usage.cost_basis,
            "finish": answer.finish_reason,
            "date": self.asked_at,
            "version": self.version,
        }
        return metadata | ({"recorded": self._recording_metadata()} if self.recording else {})

    def _recording_metadata(self) -> dict[str, Any]:
        recording = self.recording
        return (
            {"date": recording.date, "neurons": recording.neurons, "version": recording.version}
            if recording
            else {}
        )
