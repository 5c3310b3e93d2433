"""Owns what an answer bears about where it comes from, in the metadata of its output."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

MIME = "application/vnd.cfai+json"


@dataclass(frozen=True, slots=True)
class Recorded:
    """The recording that an answer was replayed from.

    `date` is the ISO day; `neurons` is what asking would cost about, None where nobody knows it
    and 0 where a model on somebody's machine had answered, which `local` tells. `model` is the one
    that answered, and `version` the package's then.
    """

    date: str
    neurons: float | None = None
    version: str = ""
    model: str = ""
    local: bool = False


def metadata_of(answer: Any) -> dict[str, Any]:
    """Return the metadata for an output of an Answer."""
    return {MIME: answer.origin.bundle(answer)}


def metadata_of_all(answers: Iterable[Any]) -> dict[str, Any]:
    """Return the metadata for one output of several Answers: of those that were begun."""
    told = [each.origin.bundle(each) for each in answers if each.text or each.thought]
    return {MIME: {"answers": told}}


def together(origins: Sequence["Origin"]) -> "Origin":
    """Return the origin of one answer that took several calls: that of the last of them.

    It was replayed where all of them were, and asking would cost what all of them would.
    """
    last, recorded = origins[-1], [each.recorded for each in origins if each.recorded]
    if last.recorded is None or len(recorded) < len(origins):
        return replace(last, recorded=None)
    known = [each.neurons for each in recorded if each.neurons is not None]
    neurons = sum(known) if len(known) == len(recorded) else None
    return replace(last, recorded=replace(last.recorded, neurons=neurons))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an answer comes from: which request, when it was asked, from which recording.

    `request` is the hash of all that decides the answer; `parameters` are those of its fields
    that are no text of the question; `asked` is ISO, in UTC; `version` is this package's.
    """

    request: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    asked: str = ""
    version: str = ""
    recorded: Recorded | None = None

    def bundle(self, answer: Any) -> dict[str, Any]:
        """Return what the output of an Answer bears: no text of the question, no account."""
        usage = answer.usage
        told = {
            "model": answer.model,
            "local": answer.local,
            "parameters": dict(self.parameters),
            "request": self.request,
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "cached_tokens": usage.cached_tokens,
                "completion_tokens": usage.completion_tokens,
                "neurons": usage.neurons,
            },
            "basis": usage.basis,
            "finish": answer.finish,
            "date": self.asked,
            "version": self.version,
        }
        return told | ({"recorded": self._recorded()} if self.recorded else {})

    def _recorded(self) -> dict[str, Any]:
        found = self.recorded
        return (
            {"date": found.date, "neurons": found.neurons, "version": found.version}
            if found
            else {}
        )
