"""Define the errors that a user can act on, each with a cause and a next step.

CfaiError
├── SetupError                    no request was sent
│   ├── MissingCredentialsError   the account ID or the API token is missing
│   ├── InvalidOptionError        an option, name or value is invalid
│   ├── VariableError             a {{…}} in the prompt can't be filled
│   ├── VisionNotSupportedError   the model does not accept images
│   ├── ToolsNotSupportedError    the model does not support function calling
│   ├── TokenInCommandError       a token or key was typed in a command that is saved
│   ├── InvalidAccountIdError     the account ID is not 32 hexadecimal characters
│   ├── StorageError              state could not be written, read or deleted
│   ├── BudgetExceededError       the call could exceed a budget
│   ├── CoursePolicyError         the course's cfai.toml does not allow the request
│   │   └── PrivacyError          only the local model and recorded answers are allowed
│   ├── PersonalDataError         a {{…}} seems to contain personal data or secrets
│   ├── NotRecordedError          the answer is not recorded, and no request is allowed
│   └── LocalModelError           the local model can't be downloaded, verified or started
├── WorkersAIError                the request was refused, or its response is invalid
│   ├── AuthenticationError       the token is wrong, expired or for another account
│   ├── PermissionDeniedError     the token is valid but lacks a permission
│   ├── AccountNotFoundError      Cloudflare does not know the account ID
│   ├── ModelNotFoundError        the model does not exist
│   ├── PaidPlanRequiredError     the model is not available on the free plan
│   ├── DailyQuotaError           today's free neurons, or the student's share, are used up
│   ├── ClassRuleError            a rule of the class does not allow the call
│   ├── GatewayLimitError         the AI Gateway's spend limit or credits are used up
│   ├── GatewayBlockedError       a guardrail or policy of the AI Gateway blocked the request
│   ├── InsufficientQuotaError    the account at another server has no quota or credit left
│   ├── RateLimitError            too many requests per minute
│   ├── CapacityError             the model is out of capacity
│   ├── ContextLengthError        the prompt and max_tokens exceed the context window
│   ├── BadRequestError           the request is invalid
│   │   └── BatchFailedError      a batch failed, so that none of its answers will come
│   ├── APITimeoutError           no answer within the timeout
│   ├── APIConnectionError        no connection to the server
│   ├── ServerError               the server failed or sent an invalid response
│   ├── IncompleteStreamError     the stream ended before the answer was complete
│   ├── ResponseFormatError       the response has none of the known formats
│   └── ResponseTooLargeError     the response exceeds the size limit
├── SchemaMismatchError           the answer does not match the schema, even after one retry
├── ToolStepsExceededError        the model was still calling functions at the step limit
├── BudgetCutoffError             the answer was cut off because a budget was used up
└── InterruptedAnswerError        the user interrupted the answer
"""

from typing import Any, ClassVar

from .i18n import _, mark
from .terminal import sanitize_line, sanitize_text


class CfaiError(Exception):
    """Base class of all errors, each with a cause and a hint about what to do next.

    A notebook shows them on two lines instead of a traceback, and the cell still fails. `model` is
    the model of the failed request, if any. `text` is the part of the answer received before the
    error, and `answer` is the same part as an Answer object. `usage` is the usage that the ledger
    has for the failed call; None if it has no such call. A client without a ledger sets it to the
    usage that the response reported. `scope` is whose limit or rule refused the request:
    "student", "class" or "account" if a class server reports it, otherwise "".

    Args:
        cause: What went wrong, in the user's language.
        hint: The next step, in the user's language. "" uses the class's `default_hint`.
        code: Cloudflare's error code.
        status: HTTP status code.
        request_id: Cloudflare's request ID.
        retry_after: How long the server asks to wait before the next attempt, in seconds.
    """

    default_hint: ClassVar[str] = ""

    def __init__(
        self,
        cause: str,
        hint: str = "",
        *,
        code: int | None = None,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(cause)
        self.cause = sanitize_text(" ".join(cause.split()))
        if not hint and self.default_hint:
            hint = _(self.default_hint)
        self.hint = sanitize_text(" ".join(hint.split()))
        self.code = code
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self.model = ""
        self.scope = ""
        self.text = ""
        self.answer: Any = None
        self.usage: Any = None

    @property
    def reference(self) -> str:
        """The error code, the HTTP status and the request ID. Unknown values are omitted."""
        parts = (
            (_("code {value}"), self.code),
            (_("HTTP {value}"), self.status),
            (_("request {value}"), self.request_id),
        )
        return ", ".join(part.format(value=value) for part, value in parts if value is not None)

    def __str__(self) -> str:
        return "\n".join(filter(None, (self._sentence, sanitize_line(self.hint))))

    def format_line(self) -> str:
        """Return the cause and the hint on one line, for example for a table cell or a log."""
        hint = sanitize_line(self.hint)
        if not hint:
            return self._sentence
        return _("{cause} {hint}").format(cause=self._sentence, hint=hint)

    @property
    def _sentence(self) -> str:
        """The cause with the error code, the HTTP status and the request ID."""
        reference = f" ({self.reference})" if self.reference else ""
        sentence = _("{cause}{reference}.").format(
            cause=self.cause.rstrip(".。"), reference=reference
        )
        return sanitize_line(sentence)

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class SetupError(CfaiError):
    """No request was sent: options, settings or local state must be corrected first."""


class MissingCredentialsError(SetupError):
    """The account ID or the API token is missing."""

    default_hint = mark(
        "Run %cfai login (in a shell: cfai login), or %cfai local to use a small model on this "
        "machine without an account."
    )


class InvalidOptionError(SetupError):
    """An option, name or value is invalid."""

    default_hint = mark("%%cfai? lists the options, and %cfai help lists the commands.")


class VariableError(SetupError):
    """A {{…}} in the prompt can't be filled."""


class VisionNotSupportedError(SetupError):
    """The model does not accept images."""


class ToolsNotSupportedError(SetupError):
    """The model does not support function calling."""


class TokenInCommandError(SetupError):
    """A token or class key was typed in a command that is saved in the history."""

    default_hint = mark(
        "The token is now in the history, and in the notebook if you typed it in one. Revoke it "
        "on the dashboard's API Tokens page and create a new one. Run %cfai login, which asks for "
        "the new token and hides it as you type."
    )


class InvalidAccountIdError(SetupError):
    """The account ID is not 32 hexadecimal characters."""

    default_hint = mark(
        "An account ID has 32 characters, 0-9 and a-f. Find it on the dashboard's Workers AI "
        "page under “Use REST API”, then run %cfai login again."
    )


class StorageError(SetupError):
    """State could not be written, read or deleted."""


class BudgetExceededError(SetupError):
    """The call could exceed a budget."""


class CoursePolicyError(SetupError):
    """The course's cfai.toml does not allow the request."""

    default_hint = mark("Nothing was sent. %cfai status shows the settings in cfai.toml.")


class PrivacyError(CoursePolicyError):
    """The setting `private` allows only the local model and recorded answers."""


class PersonalDataError(SetupError):
    """Values of a prompt seem to contain personal data or secrets. Nothing was sent."""


class NotRecordedError(SetupError):
    """The answer is not recorded, and the record mode does not allow requests."""

    default_hint = mark(
        "Nothing was sent. %cfai replay auto makes such requests and records their answers."
    )


class LocalModelError(SetupError):
    """The local model can't be downloaded, verified or started."""


class WorkersAIError(CfaiError):
    """The request was refused, or its response is missing or invalid."""


class AuthenticationError(WorkersAIError):
    """The token is wrong, expired or for another account."""

    default_hint = mark(
        "Check that the token is active and belongs to this account ID. %cfai status shows both, "
        "and %cfai login replaces them."
    )


class PermissionDeniedError(WorkersAIError):
    """The token is valid but lacks a permission."""

    default_hint = mark(
        "Give the token the Workers AI - Read and Workers AI - Edit permissions on the "
        "dashboard's API Tokens page, or create a new token and run %cfai login."
    )


class AccountNotFoundError(WorkersAIError):
    """Cloudflare does not know the account ID in the URL."""

    default_hint = InvalidAccountIdError.default_hint


class ModelNotFoundError(WorkersAIError):
    """The model does not exist."""

    default_hint = mark("%cfai models lists the names.")


class PaidPlanRequiredError(WorkersAIError):
    """The model is not available on the free plan."""

    default_hint = mark("%cfai models free lists the models on the free plan.")


class DailyQuotaError(WorkersAIError):
    """Today's free neurons are used up."""

    @classmethod
    def renewal_hint(cls, time_left: str) -> str:
        """Return a hint that includes `time_left`, the time until the free neurons reset."""
        return _(
            "Free neurons reset at 00:00 UTC, in {time_left}. Until then, no requests are sent. "
            "Recorded answers are still replayed (%cfai replay), and %cfai local uses a small "
            "model on this machine. If the account's plan has changed, run %cfai budget reopen."
        ).format(time_left=time_left)

    default_hint = mark(
        "Free neurons reset at 00:00 UTC. Recorded answers are still replayed (%cfai replay), "
        "and %cfai local uses a small model on this machine."
    )


class ClassRuleError(WorkersAIError):
    """A rule of the class does not allow the call, or it costs more than what is left today."""

    default_hint = mark("Ask your teacher: the rules of the class are set on the class server.")


class GatewayLimitError(WorkersAIError):
    """The AI Gateway's spend limit or credits are used up."""

    default_hint = mark(
        "The owner of the gateway sets this limit, possibly per student or course. It resets at "
        "the end of its period."
    )


class GatewayBlockedError(WorkersAIError):
    """A guardrail or policy of the AI Gateway blocked the prompt or the answer."""

    default_hint = mark(
        "Rephrase the prompt. The owner of the gateway can change its guardrails and policies on "
        "the dashboard's AI Gateway page."
    )


class InsufficientQuotaError(WorkersAIError):
    """The account at another server has no quota or credit left."""

    default_hint = mark("The owner of the server's account can add credit or raise its quota.")


class RateLimitError(WorkersAIError):
    """Too many requests were sent within a minute."""

    default_hint = mark("Wait a minute and run the cell again.")


class CapacityError(WorkersAIError):
    """The model is out of capacity."""

    default_hint = mark("Run the cell again later, or choose another model with -m.")


class ContextLengthError(WorkersAIError):
    """The prompt and max_tokens together exceed the model's context window."""

    default_hint = mark(
        "Shorten the prompt, lower --max-tokens, or choose a model with a larger context window. "
        "%cfai models shows the sizes."
    )


class BadRequestError(WorkersAIError):
    """The request is invalid."""

    default_hint = mark("Check that the model supports the options on the %%cfai line.")


class BatchFailedError(BadRequestError):
    """A batch failed, so that none of its answers will come."""

    default_hint = mark("Run the same map again to send its prompts again.")


class APITimeoutError(WorkersAIError):
    """The server did not answer within the timeout."""

    default_hint = mark(
        "Run the cell again, lower --max-tokens, or choose a faster model with -m."
    )


class APIConnectionError(WorkersAIError):
    """The connection to the server failed."""

    default_hint = mark("Check the network, the proxy settings and CLOUDFLARE_API_BASE_URL.")


class ServerError(WorkersAIError):
    """The server failed or sent an invalid response."""

    default_hint = mark("Run the cell again. If the error persists, choose another model with -m.")


class IncompleteStreamError(WorkersAIError):
    """The stream ended before the answer was complete. The received part is kept."""

    default_hint = mark("The partial answer is kept. Run the cell again to get the whole answer.")


class ResponseFormatError(WorkersAIError):
    """The response has none of the known formats, so no answer could be read from it."""

    default_hint = mark(
        "Check the server and proxy settings shown by %cfai status, and that the server speaks "
        "the protocol of OpenAI."
    )


class ResponseTooLargeError(WorkersAIError):
    """The response exceeds the size limit and was not read completely."""

    default_hint = mark(
        "The response is too large to come from a model. Check the server and proxy settings "
        "shown by %cfai status."
    )


class SchemaMismatchError(CfaiError):
    """The answer does not match the schema, even after one retry. The answer is kept."""

    default_hint = mark(
        "The text is in _cfai. Simplify the schema, raise --max-tokens, or choose a larger "
        "model with -m."
    )


class ToolStepsExceededError(CfaiError):
    """The model was still calling functions at the step limit. The received part is kept."""


class BudgetCutoffError(CfaiError):
    """The answer was cut off because a budget was used up. The received part is kept."""

    default_hint = mark(
        "The partial answer is kept. %cfai budget shows the remaining neurons, and %cfai budget "
        "N raises the budget."
    )


class InterruptedAnswerError(CfaiError):
    """The user interrupted the answer. The received part is kept."""

    default_hint = mark("The partial answer is in _cfai.")
