"""Get an answer that matches a JSON Schema. If the first answer does not match, retry once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..display.tables import format_neurons
from ..errors import (
    BadRequestError,
    CfaiError,
    MissingCredentialsError,
    NotRecordedError,
    PrivacyError,
    SchemaMismatchError,
)
from ..i18n import _, mark, ngettext
from ..prompt.output_formats import FormatError, OutputFormat, without_response_format
from ..types.messages import Answer, Request
from ..types.provenance import combine_provenance
from ..types.usage import CostBasis, Usage
from .frontend import AnswerDisplay

# This text is sent to the model, so it is not translated.
RETRY_PROMPT = "Your answer does not fit: {}. Answer again, only with JSON that fits the schema."
# After these, the request without `response_format` may be recorded.
NOT_SENT_ERRORS = (NotRecordedError, MissingCredentialsError, PrivacyError)
RETRY_NOTES: Mapping[CostBasis | None, str] = {
    None: mark(
        "The first answer did not match the schema ({reason}). The retry used "
        "{input:,}→{output:,} tokens."
    ),
    "billed": mark(
        "The first answer did not match the schema ({reason}). The retry used "
        "{input:,}→{output:,} tokens, {neurons} neurons billed."
    ),
    "estimated": mark(
        "The first answer did not match the schema ({reason}). The retry used "
        "{input:,}→{output:,} tokens, {neurons} neurons estimated."
    ),
    "replayed": mark(
        "The first answer did not match the schema ({reason}). The retry used "
        "{input:,}→{output:,} tokens, {neurons} neurons replayed."
    ),
}


@dataclass(frozen=True, slots=True)
class StructuredOutput:
    """A question whose answer must match a schema.

    Attributes:
        output_format: The format that validates and parses the answer.
        display: The display for the answer.
        send_request: Sends one request. Takes `(request, usage)`, where `usage` is the total
            usage of the earlier requests.
    """

    output_format: OutputFormat
    display: AnswerDisplay
    send_request: Callable[[Request, Usage], Answer]

    def run(self, request: Request) -> Answer:
        """Return an answer that matches the schema, and retry once if the first does not match.

        Raises:
            SchemaMismatchError: The second answer does not match either, or the first answer does
                not match and was refused or cut off at max_tokens. The error's `answer` is the
                last answer.
        """
        first_answer = self._send_with_schema(request)
        validation_error = self._get_validation_error(first_answer)
        if validation_error is None:
            return first_answer
        if first_answer.finish_reason == "length":
            raise _mismatch_error(
                first_answer,
                ngettext(
                    "it was cut off at {count:,} token",
                    "it was cut off at {count:,} tokens",
                    first_answer.usage.completion_tokens,
                ).format(count=first_answer.usage.completion_tokens),
            )
        if first_answer.finish_reason == "content_filter":
            raise _mismatch_error(first_answer, _("the model refused to answer"))
        answer = self._retry(request, first_answer, validation_error)
        validation_error = self._get_validation_error(answer)
        if validation_error is not None:
            raise _mismatch_error(answer, validation_error)
        return answer

    def _send_with_schema(self, request: Request) -> Answer:
        """Send the request. If the request is rejected, resend it without `response_format`."""
        try:
            return self.send_request(request, Usage())
        except (BadRequestError, *NOT_SENT_ERRORS) as error:
            request_without_schema = without_response_format(request)
            if error.answer is not None or request_without_schema is None:
                raise
            if isinstance(error, BadRequestError):
                self.display.restart(
                    _("{cause}. Sending the request again without response_format.").format(
                        cause=error.cause.rstrip(".")
                    )
                )
                return self.send_request(request_without_schema, Usage())
            return self._send_recorded(request_without_schema, error)

    def _send_recorded(self, request: Request, original_error: CfaiError) -> Answer:
        """Return the recorded answer to a request without `response_format`.

        Raises `original_error` if no answer to this request is recorded.
        """
        try:
            return self.send_request(request, Usage())
        except NOT_SENT_ERRORS:
            raise original_error from None

    def _get_validation_error(self, answer: Answer) -> str | None:
        """Return the reason why the answer does not match the schema, or None if it matches."""
        parse = self.output_format.parse
        try:
            if parse is not None:
                parse(answer.text)
        except FormatError as error:
            return str(error)
        return None

    def _retry(self, request: Request, first_answer: Answer, validation_error: str) -> Answer:
        """Send the first answer back with the validation error, and return the second answer.

        The usage of the returned answer is the total for both requests.
        """
        self.display.restart(
            _("The answer does not match the schema ({reason}). Retrying once.").format(
                reason=validation_error
            )
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
    error = SchemaMismatchError(
        _("The answer does not match the schema: {reason}").format(reason=validation_error)
    )
    error.answer = answer
    return error


def _merge_attempts(first_answer: Answer, second_answer: Answer, validation_error: str) -> Answer:
    """Return the second answer with the total usage and time of both, and a note on the retry."""
    return replace(
        second_answer,
        usage=first_answer.usage + second_answer.usage,
        provenance=combine_provenance([first_answer.provenance, second_answer.provenance]),
        seconds=first_answer.seconds + second_answer.seconds,
        first_token_seconds=first_answer.first_token_seconds,
        notes=(
            *first_answer.notes,
            *second_answer.notes,
            _format_retry_note(second_answer.usage, validation_error),
        ),
    )


def _format_retry_note(usage: Usage, validation_error: str) -> str:
    """Return a note on the reason for the retry and the usage of the retry."""
    return _(RETRY_NOTES.get(usage.cost_basis, RETRY_NOTES[None])).format(
        reason=validation_error,
        input=usage.prompt_tokens,
        output=usage.completion_tokens,
        neurons=format_neurons(usage.neurons or 0.0),
    )
