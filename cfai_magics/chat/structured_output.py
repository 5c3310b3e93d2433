"""Ask a question with a JSON Schema: validate the answer, and retry once if it is invalid."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..display.tables import format_neurons
from ..errors import (
    BadRequestError,
    CfaiError,
    MissingCredentialsError,
    NotRecordedError,
    SchemaMismatchError,
)
from ..prompt.output_formats import FormatError, OutputFormat, without_response_format
from ..types.messages import Answer, Request
from ..types.provenance import combine_provenance
from ..types.usage import Usage
from .frontend import AnswerDisplay

RETRY_PROMPT = "Your answer does not fit: {}. Answer again, only with JSON that fits the schema."


@dataclass(frozen=True, slots=True)
class StructuredOutput:
    """One question with a schema: `output_format` validates the answer.

    `send_request` takes the request and the usage of the calls before it.
    """

    output_format: OutputFormat
    display: AnswerDisplay
    send_request: Callable[[Request, Usage], Answer]

    def run(self, request: Request) -> Answer:
        """Return an answer that matches the schema; ask a second time if the first does not.

        Raises SchemaMismatchError, which has the last answer, if the second does not match either
        or the first was cut at max_tokens.
        """
        first_answer = self._send_with_schema(request)
        validation_error = self._get_validation_error(first_answer)
        if validation_error is None:
            return first_answer
        if first_answer.finish_reason == "length":
            raise _mismatch_error(
                first_answer, f"it was cut at {first_answer.usage.completion_tokens:,} tokens"
            )
        answer = self._retry(request, first_answer, validation_error)
        validation_error = self._get_validation_error(answer)
        if validation_error is not None:
            raise _mismatch_error(answer, validation_error)
        return answer

    def _send_with_schema(self, request: Request) -> Answer:
        """Send the request with `response_format`; without it if the model refuses the field."""
        try:
            return self.send_request(request, Usage())
        except (BadRequestError, NotRecordedError, MissingCredentialsError) as error:
            request_without_schema = without_response_format(request)
            if error.answer is not None or request_without_schema is None:
                raise
            if isinstance(error, BadRequestError):
                self.display.restart(f"{error.cause}: asking without the field for the schema.")
                return self.send_request(request_without_schema, Usage())
            return self._send_recorded(request_without_schema, error)

    def _send_recorded(self, request: Request, original_error: CfaiError) -> Answer:
        """Return the recorded answer to the request without the field; else raise the error."""
        try:
            return self.send_request(request, Usage())
        except (NotRecordedError, MissingCredentialsError):
            raise original_error from None

    def _get_validation_error(self, answer: Answer) -> str | None:
        """Return why the answer does not match the schema; None if it does."""
        parse = self.output_format.parse
        try:
            if parse is not None:
                parse(answer.text)
        except FormatError as error:
            return str(error)
        return None

    def _retry(self, request: Request, first_answer: Answer, validation_error: str) -> Answer:
        """Ask again with the first answer and its error; return an answer with both usages."""
        self.display.restart(
            f"The answer does not fit the schema ({validation_error}); asking once more."
        )
        assistant_message = {"role": "assistant", "content": first_answer.text}
        user_message = {"role": "user", "content": RETRY_PROMPT.format(validation_error)}
        request = replace(request, messages=(*request.messages, assistant_message, user_message))
        try:
            second_answer = self.send_request(request, first_answer.usage)
        except CfaiError as error:
            answer = (
                _merge_attempts(first_answer, error.answer, validation_error)
                if error.answer
                else first_answer
            )
            error.answer = answer if answer.text else replace(answer, text=first_answer.text)
            raise
        return _merge_attempts(first_answer, second_answer, validation_error)


def _mismatch_error(answer: Answer, validation_error: str) -> SchemaMismatchError:
    error = SchemaMismatchError(f"The answer does not fit the schema: {validation_error}")
    error.answer = answer
    return error


def _merge_attempts(first_answer: Answer, second_answer: Answer, validation_error: str) -> Answer:
    """Return the second answer with the usage and time of both, and a note on its own usage."""
    second_usage = second_answer.usage
    cost = (
        ""
        if second_usage.neurons is None
        else f", {format_neurons(second_usage.neurons)} neurons {second_usage.cost_basis}"
    )
    tokens = f"{second_usage.prompt_tokens:,}→{second_usage.completion_tokens:,} tokens"
    retry_note = (
        f"The first answer did not fit the schema ({validation_error}): "
        f"asking again took {tokens}{cost}."
    )
    return replace(
        second_answer,
        usage=first_answer.usage + second_usage,
        provenance=combine_provenance([first_answer.provenance, second_answer.provenance]),
        seconds=first_answer.seconds + second_answer.seconds,
        first_token_seconds=first_answer.first_token_seconds,
        notes=(*first_answer.notes, *second_answer.notes, retry_note),
    )
