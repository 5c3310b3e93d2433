"""The current switches, with the position in their lists."""

import itertools

from .ask import Ask
from .errors import Fault
from .generation import default_answer
from .switches import Switches


class Script:
    """One setting of the switches; a new setting starts its lists from the beginning."""

    def __init__(self, switches: Switches) -> None:
        self.switches = switches
        self._turns = itertools.count()
        self._errors_left = switches.errors_before_success

    def answer(self, request: Ask) -> str:
        """Return the answer of a chat model."""
        return self.say(request.last_user_text, default_answer(request))

    def say(self, prompt: str, default: str) -> str:
        """Return the answer of any model to this prompt."""
        answer = self.switches.answer
        if answer is None:
            return default
        if isinstance(answer, str):
            return answer
        if callable(answer):
            return answer(prompt)
        return answer[next(self._turns) % len(answer)]

    def fault(self, path: str) -> Fault | None:
        """Return the error for this request, or None."""
        switches = self.switches
        if switches.error_in_stream_after is not None or switches.error_path not in path:
            return None
        if switches.errors_before_success is None:
            return switches.error
        if not self._errors_left:
            return None
        self._errors_left -= 1
        return switches.error or Fault()
