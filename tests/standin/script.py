"""The switches now in force, with how far their lists have been used up."""

import itertools

from .ask import Ask
from .errors import Fault
from .generation import default_answer
from .switches import Switches


class Script:
    """One setting of the switches; a new setting starts from the beginning."""

    def __init__(self, switches: Switches) -> None:
        self.switches = switches
        self._turns = itertools.count()
        self._errors_left = switches.errors_before_success

    def answer(self, asked: Ask) -> str:
        """Return what a chat model says to this."""
        return self.say(asked.last_user_text, default_answer(asked))

    def say(self, heard: str, default: str) -> str:
        """Return what any model says to these words."""
        answer = self.switches.answer
        if answer is None:
            return default
        if isinstance(answer, str):
            return answer
        if callable(answer):
            return answer(heard)
        return answer[next(self._turns) % len(answer)]

    def fault(self, path: str) -> Fault | None:
        """Return the error this request is to be answered with, if any."""
        switches = self.switches
        if switches.error_in_stream_after is not None or switches.error_path not in path:
            return None
        if switches.errors_before_success is None:
            return switches.error
        if not self._errors_left:
            return None
        self._errors_left -= 1
        return switches.error or Fault()
