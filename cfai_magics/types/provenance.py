"""The origin of an answer: its request, its recording and the metadata of its output."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

METADATA_MIME_TYPE = "application/vnd.cfai+json"
NEURON_DECIMALS = 6  # in metadata; Cloudflare's figures have rounding errors below this


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """The recording that an answer was replayed from.

    `date` is the ISO date of the recording. `neurons` is the approximate cost of a new call; it
    is None if unknown, and 0 for a local model. `model` is the model that answered the recorded
    call, and `is_local` says whether that model was local. `version` is the version of this
    package that made the recording. `is_instant` says whether it was replayed without its delays.
    """

    date: str
    neurons: float | None = None
    version: str = ""
    model: str = ""
    is_local: bool = False
    is_instant: bool = False


def output_metadata(answer: Any) -> dict[str, Any]:
    """Return the notebook output metadata for an Answer, keyed by MIME type."""
    media = getattr(answer, "parsed", None)
    return {
        METADATA_MIME_TYPE: answer.provenance.to_metadata(answer),
        **getattr(media, "display_metadata", {}),
    }


def group_metadata(answers: Iterable[Any]) -> dict[str, Any]:
    """Return the notebook output metadata for several Answers, leaving out empty ones.

    Values that all answers share are saved once, next to the list of answers.
    """
    entries = [
        answer.provenance.to_metadata(answer)
        for answer in answers
        if answer.text or answer.reasoning
    ]
    shared = {
        key: value
        for key, value in (entries[0] if entries else {}).items()
        if all(key in entry and entry[key] == value for entry in entries)
    }
    distinct = [
        {key: value for key, value in entry.items() if key not in shared} for entry in entries
    ]
    return {METADATA_MIME_TYPE: {**shared, "answers": distinct}}


def split_group_metadata(entry: Any) -> list[Any]:
    """Return the metadata of each answer from the metadata of an output."""
    answers = entry.get("answers") if isinstance(entry, dict) else None
    if not isinstance(answers, list):
        return [entry]
    shared = {key: value for key, value in entry.items() if key != "answers"}
    return [shared | answer if isinstance(answer, dict) else answer for answer in answers]


def combine_provenance(provenances: Sequence["Provenance"]) -> "Provenance":
    """Return the provenance of the last of several calls that produced one answer.

    The result has a recording only if all calls were replayed. The neurons of this recording are
    the sum for all calls.
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
    """The origin of an answer: its request, its time, and the recording if it was replayed.

    Attributes:
        request_fingerprint: Hash of all request fields that the answer depends on.
        parameters: The request fields, without the text of the question.
        asked_at: Time of the request, in ISO format and UTC.
        version: Version of this package.
        recording: The recording that was replayed; None if a model answered.
    """

    request_fingerprint: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    asked_at: str = ""
    version: str = ""
    recording: RecordingInfo | None = None

    def to_metadata(self, answer: Any) -> dict[str, Any]:
        """Return the metadata for an Answer, without the prompt or the account.

        `local`, `parameters` and `cached_tokens` are left out if they are false, empty or 0.
        """
        usage = answer.usage
        neurons = None if usage.neurons is None else round(usage.neurons, NEURON_DECIMALS)
        cached_tokens = {"cached_tokens": usage.cached_tokens} if usage.cached_tokens else {}
        metadata = {
            "model": answer.model,
            **({"local": True} if answer.is_local else {}),
            **({"parameters": dict(self.parameters)} if self.parameters else {}),
            "request": self.request_fingerprint,
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                **cached_tokens,
                "completion_tokens": usage.completion_tokens,
                "neurons": neurons,
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
