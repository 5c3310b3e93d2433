"""The way of a question whose answer has to fit a schema: checked, and asked once more."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..errors import BadInput, CfaiError, NoCredentials, NotRecorded, SchemaMismatch
from ..forms.form import Form, Unfit
from ..forms.schema import without_field
from ..render.formats import neurons
from ..values import Answer, Request, Usage
from ..values.provenance import together
from .door import Live

REPAIR = "Your answer does not fit: {}. Answer again, only with JSON that fits the schema."


@dataclass(frozen=True, slots=True)
class Fitting:
    """One such question. `form` checks the answer; `shown` asks, after so much was used before."""

    form: Form
    live: Live
    shown: Callable[[Request, Usage], Answer]

    def answered(self, request: Request) -> Answer:
        """Return the answer that fits, asked for again where the first does not.

        Raises SchemaMismatch, which bears the answer, where neither does.
        """
        first = self._constrained(request)
        fault = self._fault(first)
        if fault is None:
            return first
        if first.finish == "length":
            raise _mismatch(first, f"it was cut at {first.usage.completion_tokens:,} tokens")
        answer = self._repaired(request, first, fault)
        fault = self._fault(answer)
        if fault is not None:
            raise _mismatch(answer, fault)
        return answer

    def _constrained(self, request: Request) -> Answer:
        """Ask with the schema as a field of the request; without where a model refuses that."""
        try:
            return self.shown(request, Usage())
        except (BadInput, NotRecorded, NoCredentials) as error:
            without = without_field(request)
            if error.answer is not None or without is None:
                raise
            if isinstance(error, BadInput):
                self.live.again(f"{error.cause}: asking without the field for the schema.")
                return self.shown(without, Usage())
            return self._recorded(without, error)

    def _recorded(self, request: Request, error: CfaiError) -> Answer:
        """Return the recorded answer of a model that had refused the field; else raise."""
        try:
            return self.shown(request, Usage())
        except (NotRecorded, NoCredentials):
            raise error from None

    def _fault(self, answer: Answer) -> str | None:
        """Return why the answer does not fit the schema; None where it does."""
        try:
            self.form.parse(answer.text)
        except Unfit as unfit:
            return str(unfit)
        return None

    def _repaired(self, request: Request, first: Answer, fault: str) -> Answer:
        """Ask once more with the first answer and its fault; the cost of both is the answer's."""
        self.live.again(f"The answer does not fit the schema ({fault}); asking once more.")
        said = {"role": "assistant", "content": first.text}
        told = {"role": "user", "content": REPAIR.format(fault)}
        request = replace(request, messages=(*request.messages, said, told))
        try:
            second = self.shown(request, first.usage)
        except CfaiError as error:
            answer = _both(first, error.answer, fault) if error.answer else first
            error.answer = answer if answer.text else replace(answer, text=first.text)
            raise
        return _both(first, second, fault)


def _mismatch(answer: Answer, fault: str) -> SchemaMismatch:
    error = SchemaMismatch(f"The answer does not fit the schema: {fault}")
    error.answer = answer
    return error


def _both(first: Answer, second: Answer, fault: str) -> Answer:
    """Return the second answer with the usage and time of both, and what it took itself."""
    used = second.usage
    cost = "" if used.neurons is None else f", {neurons(used.neurons)} neurons {used.basis}"
    tokens = f"{used.prompt_tokens:,}→{used.completion_tokens:,} tokens"
    told = f"The first answer did not fit the schema ({fault}): asking again took {tokens}{cost}."
    return replace(
        second,
        usage=first.usage + used,
        origin=together([first.origin, second.origin]),
        seconds=first.seconds + second.seconds,
        first_token_seconds=first.first_token_seconds,
        notes=(*first.notes, *second.notes, told),
    )
