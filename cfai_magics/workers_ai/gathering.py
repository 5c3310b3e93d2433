"""Gathers the deltas of one call into one answer."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from ..neurons.tokens import (
    FewestTokens,
    guessed_image_tokens,
    guessed_prompt_tokens,
    tokens_of,
    weight,
)
from ..values import Answer, Delta, Finish, Request, Text, Thought, ToolCall, Usage
from ..values.provenance import Origin


class Gathering:
    """One answer while it comes; `answer()` gives it at any time, as far as it came."""

    def __init__(
        self,
        request: Request,
        clock: Callable[[], float],
        *,
        local: bool,
        origin: Origin = Origin(),  # noqa: B008 - frozen
    ) -> None:
        self._origin = origin
        self._request = request
        self._clock = clock
        self._local = local
        self._started = clock()
        self._first: float | None = None
        self._seconds: float | None = None
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._tool_calls: list[ToolCall] = []
        self._finish = "unknown"
        self._counted = (0, 0)  # texts and thoughts of which the fewest tokens are counted
        self._fewest = FewestTokens(), FewestTokens()
        self.weight = 0  # Latin characters that have about as many tokens as what has arrived
        self.usage: Usage | None = None

    def begin(self) -> None:
        """Count the time from here on: the request is sent now."""
        self._started = self._clock()

    def end(self) -> None:
        """Count the time no further: what follows, such as the ledger, is not the answer's."""
        if self._seconds is None:
            self._seconds = self._clock() - self._started

    def add(self, delta: Delta) -> None:
        """Take in the next delta."""
        if isinstance(delta, Text):
            self._note_first()
            self.weight += weight(delta.text)
            self._texts.append(delta.text)
        elif isinstance(delta, Thought):
            self._note_first()
            self.weight += weight(delta.text)
            self._thoughts.append(delta.text)
        elif isinstance(delta, ToolCall):
            self.weight += weight(delta.name) + weight(delta.arguments)
            self._tool_calls.append(delta)
        elif isinstance(delta, Usage):
            self.usage = delta
        elif isinstance(delta, Finish):
            self._finish = delta.reason

    def _note_first(self) -> None:
        if self._first is None:
            self._first = self._clock() - self._started

    @property
    def begun(self) -> bool:
        """Whether a token of the answer has arrived."""
        return self._first is not None

    @cached_property
    def _prompt_tokens(self) -> int:
        """The tokens of what was sent, guessed where somebody asks: images are read for that."""
        messages = self._request.messages
        return guessed_prompt_tokens(messages) + guessed_image_tokens(messages)

    def guessed_usage(self) -> Usage:
        """Return the tokens of what was sent and what has arrived, guessed from their length."""
        return Usage(self._prompt_tokens, tokens_of(self.weight))

    def fewest_tokens(self) -> int:
        """Return how many tokens what has arrived has at least, in all likelihood.

        That is one for each word or, where these are short, one for four characters. Calls of
        functions are not counted.
        """
        for pieces, counted, fewest in zip(
            (self._texts, self._thoughts), self._counted, self._fewest, strict=True
        ):
            fewest.add("".join(pieces[counted:]))
        self._counted = len(self._texts), len(self._thoughts)
        return min(sum(fewest.count for fewest in self._fewest), tokens_of(self.weight))

    def answer(self, usage: Usage, finish: str | None = None, **known: Any) -> Answer:
        """Return what has arrived as an Answer; `finish` overrides the model's own.

        `known` are further fields of Answer.
        """
        return Answer(
            model=self._request.model,
            text="".join(self._texts),
            thought="".join(self._thoughts),
            tool_calls=tuple(self._tool_calls),
            finish=finish or self._finish,
            usage=usage,
            seconds=self._clock() - self._started if self._seconds is None else self._seconds,
            first_token_seconds=self._first,
            local=self._local,
            origin=self._origin,
            **known,
        )
