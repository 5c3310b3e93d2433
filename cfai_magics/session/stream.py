"""Stream one answer. Reserve its cost first, and settle the call however the stream ends."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from ..errors import (
    APITimeoutError,
    BudgetCutoffError,
    CfaiError,
    IncompleteStreamError,
    ResponseFormatError,
    ResponseTooLargeError,
    SetupError,
)
from ..i18n import _
from ..types.messages import Answer, Delta
from ..types.usage import Status, Usage
from ..workers_ai.chat_stream import AnswerBuilder
from .reservation import Reservation

if TYPE_CHECKING:
    from ..workers_ai.chat_stream import ChatStream

# After these errors, the prompt may be billed, because the model may have run.
INCOMPLETE_RESPONSE_ERRORS = (
    *(IncompleteStreamError, ResponseTooLargeError, ResponseFormatError, APITimeoutError),
)
FINISH_REASON_BY_ERROR: dict[type[CfaiError], str] = {BudgetCutoffError: "budget"}


class AnswerStream:
    """An iterable of the deltas of one call.

    `answer` is the answer received so far. When iteration starts, `send(max_tokens)` is called to
    send the request; 0 means no token limit. Leaving the `with` block closes the connection and
    settles the call. If an error occurs after the first token, `error.answer` is the partial
    answer.
    """

    def __init__(
        self,
        builder: AnswerBuilder,
        reservation: Reservation,
        send: Callable[[int], "ChatStream"],
        add_hints: Callable[[CfaiError], CfaiError],
    ) -> None:
        self._builder = builder
        self._reservation = reservation
        self._send = send
        self._add_hints = add_hints
        self._chat_stream: ChatStream | None = None
        self._early_finish_reason: str | None = "interrupted"  # until the stream ends
        self._is_interrupted = False  # by another thread
        self._is_settled = False
        self._booked_usage: Usage | None = None
        self._final_answer: Answer | None = None
        self._may_bill_prompt = True  # whether a prompt without answer tokens may be billed
        self._next_check_weight = 0.0  # below this weight, the answer cannot exceed a limit

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and settle the usage so far."""
        if self._chat_stream is not None:
            self._chat_stream.close()
        if not self._is_settled:
            self._settle("interrupted")

    def interrupt(self) -> None:
        """Treat any later error as an interruption by the user."""
        self._is_interrupted = True

    def __iter__(self) -> Iterator[Delta]:
        try:
            max_tokens = self._reservation.reserve()
            self._builder.start_timer()
            self._chat_stream = self._send(max_tokens)
            observers = self._reservation.accounting.observers
            is_limited = self._reservation.has_enforced_limit
            for delta in self._chat_stream:
                self._builder.add(delta)
                if observers.is_watched:
                    self._reservation.report_progress(self._usage)
                if is_limited:
                    self._check_limits(self._chat_stream.usage)
                yield delta
            self._early_finish_reason = None
            self._settle("ok")
        except CfaiError as error:
            raise self._handle_error(error) from None
        finally:
            self.close()

    def _check_limits(self, reported: Usage) -> None:
        """Enforce the call's limits, counting tokens only if the answer may exceed a limit.

        This saves time, because an answer never has more tokens than its weighted length.
        """
        weight = self._builder.weight
        if weight < self._next_check_weight:
            self._reservation.enforce_limits(reported)
        else:
            tokens_left = self._reservation.enforce_limits(reported, self._builder.min_tokens())
            self._next_check_weight = weight + max(1.0, tokens_left)

    def _handle_error(self, error: CfaiError) -> CfaiError:
        if self._is_interrupted:
            return error
        self._early_finish_reason = FINISH_REASON_BY_ERROR.get(type(error), "cut")
        self._builder.usage = self._builder.usage or error.usage
        self._may_bill_prompt = isinstance(error, INCOMPLETE_RESPONSE_ERRORS) or bool(error.usage)
        if not isinstance(error, SetupError):
            self._settle("interrupted" if isinstance(error, BudgetCutoffError) else "failed")
        error.answer = self.answer if self._builder.has_first_token else None
        error.usage = self._booked_usage
        return self._add_hints(error)

    def _settle(self, status: Status) -> None:
        self._builder.end()
        self._booked_usage = usage = self._final_usage()
        self._reservation.settle(
            status, usage, self._builder.seconds, self._builder.first_token_seconds
        )
        self._is_settled = True

    def _usage(self) -> Usage:
        """Return the usage so far, estimated where the server's report is missing or outdated."""
        usage = self._builder.usage or (self._chat_stream.usage if self._chat_stream else Usage())
        is_outdated = self._is_outdated(usage)
        if usage.prompt_tokens and not is_outdated:
            return usage
        estimate = self._builder.estimate_usage()
        if not is_outdated:
            return replace(estimate, neurons=usage.neurons, cost_basis=usage.cost_basis)
        return self._update_usage(usage, estimate)

    def _is_outdated(self, reported: Usage) -> bool:
        """Return whether the server reported fewer tokens than have been received."""
        if self._early_finish_reason is None and (
            reported.neurons is not None or reported.completion_tokens
        ):
            return False  # the report covers the complete call
        return reported.completion_tokens < self._builder.min_tokens()

    def _update_usage(self, reported: Usage, estimate: Usage) -> Usage:
        """Return the usage for an answer that is longer than the server reported."""
        tokens = max(reported.completion_tokens, estimate.completion_tokens)
        prompt = reported.prompt_tokens or estimate.prompt_tokens
        usage = self._reservation.price_usage(
            Usage(prompt, tokens, reported.cached_tokens, has_estimated_tokens=True)
        )
        if (usage.neurons or 0.0) > (reported.neurons or 0.0):
            return usage
        return replace(usage, neurons=reported.neurons, cost_basis=reported.cost_basis)

    def _final_usage(self) -> Usage:
        """Return the usage and cost to record if the call ends now."""
        usage = self._reservation.price_usage(self._usage())
        if not self._early_finish_reason:
            return usage
        is_prompt_unbilled = self._chat_stream is None or not self._may_bill_prompt
        if not self._builder.has_first_token and is_prompt_unbilled:
            usage = replace(usage, prompt_tokens=0, completion_tokens=0, neurons=0.0)
        if usage.cost_basis == "billed":
            usage = replace(usage, cost_basis="estimated")
        return usage

    @property
    def answer(self) -> Answer:
        """The answer received so far. Its usage is an estimate unless the call is complete."""
        if self._final_answer is not None:
            return self._final_answer
        stream, model = self._chat_stream, self._reservation.model
        thinking_notes = []
        if model.reasoning_efforts and model.always_thinks and self._builder.thinks_unasked:
            note = _("{model} always thinks before it answers. The thinking is billed.")
            thinking_notes.append(note.format(model=model.short_name))
        answer = self._builder.build_answer(
            self._booked_usage or self._final_usage(),
            self._early_finish_reason,
            request_id=stream.request_id if stream else None,
            endpoint=stream.endpoint if stream else "",
            raw=stream.response_body if stream else None,
            notes=(*self._reservation.notes, *(stream.notes if stream else ()), *thinking_notes),
            day_usage=self._reservation.day_usage,
        )
        if self._is_settled and not self._early_finish_reason:
            self._final_answer = answer
        return answer
