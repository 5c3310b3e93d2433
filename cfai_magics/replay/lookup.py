"""Represent the result of a cassette lookup, and check whether an answer may be recorded."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import SetupError
from ..i18n import _
from ..types.provenance import Provenance
from .fingerprint import RecordedRequest

if TYPE_CHECKING:
    from .interaction import Interaction
    from .playback import Capture, CapturedCall

MAX_INTERACTION_BYTES = 4_000_000  # per line, to keep cassettes readable in Git


@dataclass(slots=True)
class Lookup:
    """The result of looking up a request in the cassette.

    Attributes:
        request: The request in its canonical form.
        provenance: Where the answer comes from.
        interaction: The recording to replay, or None if the request is not recorded.
        fallback: The recording to replay if credentials are missing, or None if there is none.
        explain_miss: Function that describes how the request differs from the closest recorded
            request. It takes longer for larger cassettes.
        capture: Object that collects the responses to record, or None if nothing is recorded.
        save_recording: Function that writes the answer to the cassette and returns notes.
        notes: Notes to show to the user.
    """

    request: RecordedRequest
    provenance: Provenance
    interaction: "Interaction | None" = None
    fallback: "Interaction | None" = None
    explain_miss: Callable[[], str] = str
    capture: "Capture | None" = None
    save_recording: Callable[[], list[str]] = list
    notes: list[str] = field(default_factory=list)

    @property
    def extensions(self) -> dict[str, Any]:
        """The request extensions that let RecordingTransport capture the responses."""
        if self.capture is None:
            return {}
        from .interaction import CAPTURE_EXTENSION

        return {CAPTURE_EXTENSION: self.capture}

    def add_miss_reason(self, error: SetupError) -> SetupError:
        """Return the error with the reason why no recording was replayed."""
        miss_reason = self.explain_miss()
        if not miss_reason:
            return error
        return type(error)(
            _("{cause}, and the answer is not recorded ({reason})").format(
                cause=error.cause, reason=miss_reason
            ),
            error.hint,
        )


def reject_reason(captured: "CapturedCall", lookup: Lookup) -> str:
    """Return the reason why an answer must not be recorded, or "" if it may be recorded."""
    if captured.finish_reason == "error":
        return _("the model reported an error")
    from ..pricing.prices import count_answers

    fields = lookup.request.fields
    is_stream = any("stream" in response for response in captured.responses)
    if is_stream and count_answers(fields) > 1:
        return _("{name} can't be recorded in a stream").format(name="n")
    was_limit_lowered = (
        lookup.capture is not None and lookup.capture.max_tokens != lookup.request.max_tokens
    )
    if captured.finish_reason == "length" and was_limit_lowered:
        return _("a budget cut the answer short")
    return ""


def interaction_reject_reason(interaction: "Interaction") -> str:
    """Return the reason why an interaction must not be written, or "" if it may be written."""
    from ..secret_patterns import find_token

    line = interaction.to_line()
    if len(line) > MAX_INTERACTION_BYTES:
        return _("the answer has {size:,.1f} MB, and the maximum is {maximum:,.0f} MB").format(
            size=len(line) / 1e6, maximum=MAX_INTERACTION_BYTES / 1e6
        )
    for text in (line.decode(errors="replace"), *interaction.reasoning_and_text):
        kind = find_token(text)
        if kind is not None:
            return _("the request or the answer seems to contain {token}").format(
                token=_(kind.name)
            )
    return ""
