"""One answer, whole or as far as it came."""

import json
from dataclasses import dataclass, field
from typing import Any

from ..markdown import first_code, without_remote_content
from ..media.made import Media
from ..terminal import safe_text
from .delta import Called, ToolCall
from .provenance import Origin, metadata_of
from .standing import Standing
from .usage import Usage, Used


@dataclass(frozen=True, slots=True)
class Answer(Used):
    """One answer, whole or as far as it came.

    `finish` is the Finish reason, or "interrupted", "cut" or "budget" when it did not reach its
    end. `seconds` and `first_token_seconds` are measured here, from sending the request; the
    second is None when no token came. `local` is True when a model on this machine answered.
    `notes` are lines about this call for its reader, and `standing` is where the day stood after
    it. `via` names the gateway and its cache's part, or the other server. `raw` is the JSON as it
    was sent, when the call was not streamed. `parsed` is what the form asked for makes of the
    text: a JSON value, a DataFrame, code; of a native task it is what that made: an image, a
    sound, a list, vectors. `work` is then how much it was, in its own unit. `called` are the
    functions that were called for it. `origin` says which request this answers, and from which
    recording if it is replayed.
    """

    model: str
    text: str = ""
    thought: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    called: tuple[Called, ...] = ()
    finish: str = "unknown"
    usage: Usage = field(default=Usage())
    seconds: float = 0.0
    first_token_seconds: float | None = None
    request_id: str | None = None
    local: bool = False
    via: str = ""
    notes: tuple[str, ...] = ()
    standing: Standing | None = None
    origin: Origin = field(default=Origin(), repr=False)
    raw: Any = field(default=None, repr=False)
    parsed: Any = field(default=None, repr=False, compare=False)
    work: str = ""

    @property
    def tokens_per_second(self) -> float | None:
        """The pace from the first token on; None where the answer came all at once."""
        if self.first_token_seconds is None or self.raw is not None:
            return None
        coming = self.seconds - self.first_token_seconds
        return self.usage.completion_tokens / coming if coming > 0 else None

    def json(self) -> Any:
        """Return the answer's text, or its first code block, as JSON; ValueError if it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            if self.code is None:
                raise
        return json.loads(self.code)

    @property
    def code(self) -> str | None:
        """The first code block of the text; None where there is none."""
        found = first_code(self.text)
        return found.text if found else None

    def __str__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        shown: dict[str, Any] = {
            "text/markdown": without_remote_content(self.text),
            "text/plain": safe_text(self.text),
        }
        if isinstance(self.parsed, Media):
            shown = self.parsed._repr_mimebundle_()
        return shown, metadata_of(self)
