"""One call while its answer comes: booked before it is sent, and settled however it ends."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from ..errors import (
    BudgetReached,
    CfaiError,
    CutStream,
    ReplyTooLarge,
    RequestTimeout,
    SetupError,
)
from ..neurons.pricing import most_tokens, with_most_tokens
from ..values import Answer, Delta, Request, Status, Usage
from ..workers_ai.gathering import Gathering
from .booking import Booking

if TYPE_CHECKING:
    from ..workers_ai import ChatStream

UNREAD = (CutStream, ReplyTooLarge, RequestTimeout)  # the model may have worked all the same
ENDINGS: dict[type[CfaiError], str] = {BudgetReached: "budget"}


class AnswerStream:
    """The deltas of one call as they come; `answer` is what has arrived, whole at the end.

    Nothing is sent before the first delta is asked for. Leaving its `with` block closes the
    connection at once. An error out of it bears the answer so far as `error.answer`, where one was
    begun.
    """

    def __init__(
        self,
        request: Request,
        booking: Booking,
        send: Callable[[Request], "ChatStream"],
        gather: Callable[[Request], Gathering],
        explained: Callable[[CfaiError], CfaiError],
    ) -> None:
        self._request = request
        self._booking = booking
        self._send = send
        self._gathering = gather(request)
        self._explained = explained
        self._chat: ChatStream | None = None
        self._ended: str | None = "interrupted"  # until the stream says otherwise
        self._interrupted = False  # by another thread
        self._billed_for_nothing = True  # whether a prompt without an answer may be billed
        self._next_look = 0.0  # the weight of text before which no limit can be passed by it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, and book what had arrived."""
        if self._chat is not None:
            self._chat.close()
        self._settle("interrupted")

    def interrupt(self) -> None:
        """Let an error that comes from now on count as the user's interruption."""
        self._interrupted = True

    def __iter__(self) -> Iterator[Delta]:
        try:
            admitted = self._admitted()
            self._gathering.begin()
            self._chat = self._send(admitted)
            is_held = self._booking.is_held
            for delta in self._chat:
                self._gathering.add(delta)
                self._booking.progress(self._usage)
                if is_held:
                    self._hold(self._chat.usage)
                yield delta
            self._ended = None
            self._settle("ok")
        except CfaiError as error:
            raise self._failed(error) from None
        finally:
            self.close()

    def _admitted(self) -> Request:
        """Reserve, and return the request with as many tokens as the budgets let it have."""
        tokens = self._booking.reserve()
        if not tokens or tokens == most_tokens(self._request):
            return self._request
        return with_most_tokens(self._request, tokens)

    def _hold(self, told: Usage) -> None:
        """Hold the call to its limits; its text is looked at only where it may pass one.

        That saves time: text has at most as many tokens as its weight in characters.
        """
        weight = self._gathering.weight
        if weight < self._next_look:
            self._booking.hold(told)
        else:
            left = self._booking.hold(told, self._gathering.fewest_tokens())
            self._next_look = weight + max(1.0, left)

    def _failed(self, error: CfaiError) -> CfaiError:
        if self._interrupted:
            return error
        self._ended = ENDINGS.get(type(error), "cut")
        self._billed_for_nothing = isinstance(error, UNREAD)
        if not isinstance(error, SetupError):
            self._settle("interrupted" if isinstance(error, BudgetReached) else "failed")
        error.answer = self.answer if self._gathering.begun else None
        return self._explained(error)

    def _settle(self, status: Status) -> None:
        self._gathering.end()
        answer = self.answer
        self._booking.settle(status, answer.usage, answer.seconds, answer.first_token_seconds)

    def _usage(self) -> Usage:
        """Return what is used so far, guessed where it is not told yet, or no more."""
        told = self._gathering.usage or (self._chat.usage if self._chat else Usage())
        is_old = self._is_old(told)
        if told.prompt_tokens and not is_old:
            return told
        guessed = self._gathering.guessed_usage()
        if not is_old:
            return replace(guessed, neurons=told.neurons, basis=told.basis)
        return self._gone_on(told, guessed)

    def _is_old(self, told: Usage) -> bool:
        """Whether more of the answer has arrived than the server reported."""
        if self._ended is None and (told.neurons is not None or told.completion_tokens):
            return False  # that is the whole call's
        return told.completion_tokens < self._gathering.fewest_tokens()

    def _gone_on(self, told: Usage, guessed: Usage) -> Usage:
        """Return the usage of an answer of which more has arrived than was told."""
        tokens = max(told.completion_tokens, guessed.completion_tokens)
        prompt = told.prompt_tokens or guessed.prompt_tokens
        usage = self._booking.priced(Usage(prompt, tokens, told.cached_tokens))
        if (usage.neurons or 0.0) > (told.neurons or 0.0):
            return usage
        return replace(usage, neurons=told.neurons, basis=told.basis)

    @property
    def answer(self) -> Answer:
        """What has arrived: as billed where the call came to its end, else as an estimate."""
        usage = self._booking.priced(self._usage())
        nothing = self._chat is None or not self._billed_for_nothing
        if self._ended and not self._gathering.begun and nothing:
            usage = replace(usage, prompt_tokens=0, completion_tokens=0, neurons=0.0)
        if self._ended and usage.basis == "billed":
            usage = replace(usage, basis="estimated")
        return self._gathering.answer(
            usage,
            self._ended,
            request_id=self._chat.request_id if self._chat else None,
            via=self._chat.via if self._chat else "",
            raw=self._chat.body if self._chat else None,
            notes=self._booking.notes,
            standing=self._booking.standing,
        )
