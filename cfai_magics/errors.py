"""Define the errors that a user can act on, each with a cause and a next step.

CfaiError
├── SetupError                    no request was sent
│   ├── MissingCredentialsError   the account id or the API token is missing
│   ├── InvalidOptionError        an option, name or value is not valid
│   ├── VariableError             a {{…}} of the prompt can't be filled
│   ├── VisionNotSupportedError   the model does not take images
│   ├── ToolsNotSupportedError    the model does not call functions
│   ├── TokenInCommandError       an API token was typed where the history keeps it
│   ├── InvalidAccountIdError     the account id is not 32 hexadecimal characters
│   ├── StorageError              state could not be written, read or deleted
│   ├── BudgetExceededError       the call may cost more than a budget has left
│   ├── CoursePolicyError         the course's cfai.toml does not allow the request
│   ├── NotRecordedError          no recording has the answer, and no request may be sent
│   └── LocalModelError           the local model can't be downloaded, verified or started
├── WorkersAIError                the request or its reply failed
│   ├── AuthenticationError       the token is wrong or expired, or of another account
│   ├── PermissionDeniedError     the token is valid but lacks a permission
│   ├── AccountNotFoundError      Cloudflare does not know the account id
│   ├── ModelNotFoundError        the model does not exist
│   ├── PaidPlanRequiredError     the model is not available on the free plan
│   ├── DailyQuotaError           the free neurons of the day are used up
│   ├── GatewayLimitError         a spend limit of the AI Gateway is reached
│   ├── RateLimitError            too many requests per minute
│   ├── CapacityError             the model is out of capacity
│   ├── ContextLengthError        prompt and max_tokens exceed the context window
│   ├── BadRequestError           the request is not valid
│   ├── APITimeoutError           no answer within the timeout
│   ├── APIConnectionError        no connection to the server
│   ├── ServerError               the server failed
│   ├── IncompleteStreamError     the stream stopped before the end of the answer
│   └── ResponseTooLargeError     the response exceeds the size limit
├── SchemaMismatchError           the answer does not match the schema, after one retry
├── ToolStepsExceededError        the model still calls functions at the step limit
├── BudgetCutoffError             the answer was cut off at the end of a budget
└── InterruptedAnswerError        the user stopped the answer
"""

from typing import Any, ClassVar

from .terminal import sanitize_line, sanitize_text


class CfaiError(Exception):
    """Base class of all errors: a cause and a hint on what to do next, both on one line.

    A notebook shows that line in place of a traceback, and the cell still fails. `model` is the
    model of the request, if the error is about one. `text` is the part of the answer that was
    received, and `answer` is the same part as an Answer.
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
        self.hint = sanitize_text(" ".join((hint or self.default_hint).split()))
        self.code = code
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self.model = ""
        self.text = ""
        self.answer: Any = None

    @property
    def reference(self) -> str:
        """Cloudflare's error code, the HTTP status and the request id, those that are known."""
        parts = (
            ("code", self.code),
            ("HTTP", self.status),
            ("request", self.request_id),
        )
        return ", ".join(f"{name} {value}" for name, value in parts if value is not None)

    def __str__(self) -> str:
        reference = f" ({self.reference})" if self.reference else ""
        cause = self.cause.rstrip(".") + reference + "."
        return sanitize_line(f"{cause} {self.hint}").rstrip()

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class SetupError(CfaiError):
    """No request was sent: options, settings or local state must be corrected first."""


class MissingCredentialsError(SetupError):
    """The account id or the API token is missing."""

    default_hint = (
        "Run %cfai login (in a shell: cfai login), or %cfai local for a small model "
        "on this machine without an account."
    )


class InvalidOptionError(SetupError):
    """An option, a name or a value is not valid."""

    default_hint = "%%cfai? lists the options, %cfai help the commands."


class VariableError(SetupError):
    """A {{…}} of the prompt can't be filled."""


class VisionNotSupportedError(SetupError):
    """The model does not take images."""


class ToolsNotSupportedError(SetupError):
    """The model does not call functions."""


class TokenInCommandError(SetupError):
    """An API token was typed where the history keeps it."""

    default_hint = (
        "It stands in the history now, and in this notebook if it is one: revoke it on the "
        "dashboard's API Tokens page, make a new one, and give it to %cfai login alone, which "
        "asks for it unseen."
    )


class InvalidAccountIdError(SetupError):
    """The account id is not 32 hexadecimal characters."""

    default_hint = (
        "It has 32 characters 0-9 and a-f, and stands on the dashboard's Workers AI page "
        "under Use REST API. Run %cfai login again."
    )


class StorageError(SetupError):
    """State could not be written, read or deleted."""


class BudgetExceededError(SetupError):
    """The call may cost more than a budget has left."""


class CoursePolicyError(SetupError):
    """The course's cfai.toml does not allow the request."""

    default_hint = "Nothing was sent. %cfai status shows what the course's file sets."


class NotRecordedError(SetupError):
    """No recording has the answer, and the record mode allows no request."""

    default_hint = "Nothing was sent. %cfai replay auto asks such questions and records them."


class LocalModelError(SetupError):
    """The local model can't be downloaded, verified or started."""


class WorkersAIError(CfaiError):
    """The request was refused, or its reply is missing or not valid."""


class AuthenticationError(WorkersAIError):
    """The token is wrong or expired, or belongs to another account."""

    default_hint = (
        "Check that the token is active and that the account id is the one it was made for: "
        "%cfai status shows which is in use, %cfai login replaces both."
    )


class PermissionDeniedError(WorkersAIError):
    """The token is valid but lacks a permission."""

    default_hint = (
        "Give the token the permissions Workers AI - Read and Workers AI - Edit on the "
        "dashboard's API Tokens page, or make a new one and run %cfai login."
    )


class AccountNotFoundError(WorkersAIError):
    """Cloudflare does not know the account id of the URL."""

    default_hint = InvalidAccountIdError.default_hint


class ModelNotFoundError(WorkersAIError):
    """The model does not exist."""

    default_hint = "%cfai models lists the names."


class PaidPlanRequiredError(WorkersAIError):
    """The model is not available on the free plan."""

    default_hint = "%cfai models free lists the models of the free plan."


class DailyQuotaError(WorkersAIError):
    """The free neurons of the day are used up."""

    @classmethod
    def renewal_hint(cls, renewal_time: str) -> str:
        """Return the hint with `renewal_time`, the text that follows "00:00 UTC"."""
        return (
            f"They are renewed at 00:00 UTC{renewal_time}; until then nothing is sent. Recorded "
            "answers still come (%cfai replay), and %cfai local answers from a small model on "
            "this machine. If the account has another plan since then: %cfai budget reopen."
        )

    default_hint = (
        "They are renewed at 00:00 UTC; recorded answers still come (%cfai replay), and %cfai "
        "local answers from a small model on this machine."
    )


class GatewayLimitError(WorkersAIError):
    """A spend limit or the credits of the AI Gateway are used up."""

    default_hint = (
        "Whoever keeps the gateway sets that, for each student or course by the metadata; the "
        "limit begins anew when its time is over."
    )


class RateLimitError(WorkersAIError):
    """Too many requests were sent within a minute."""

    default_hint = "Wait a minute and run the cell again."


class CapacityError(WorkersAIError):
    """The model is out of capacity."""

    default_hint = "Run the cell again in a while, or choose another model with -m."


class ContextLengthError(WorkersAIError):
    """Prompt and max_tokens together exceed the model's context window."""

    default_hint = (
        "Shorten the prompt, lower --max-tokens, or choose a model with a larger window: "
        "%cfai models shows them."
    )


class BadRequestError(WorkersAIError):
    """The request is not valid."""

    default_hint = "Check the options on the %%cfai line against what the model takes."


class APITimeoutError(WorkersAIError):
    """The server did not answer within the timeout."""

    default_hint = "Run the cell again, ask for less with --max-tokens, or choose a faster model."


class APIConnectionError(WorkersAIError):
    """The connection to the server failed."""

    default_hint = "Check the network, the proxy settings and CLOUDFLARE_API_BASE_URL."


class ServerError(WorkersAIError):
    """The server failed."""

    default_hint = "Run the cell again; if it stays, choose another model with -m."


class IncompleteStreamError(WorkersAIError):
    """The stream stopped before the end of the answer; the received part is kept."""

    default_hint = "The text so far is kept; run the cell again for the whole answer."


class ResponseTooLargeError(WorkersAIError):
    """The response exceeds the size limit and was not read to its end."""

    default_hint = (
        "No model answers at such length: check the server and the proxy that %cfai status names."
    )


class SchemaMismatchError(CfaiError):
    """The answer does not match the schema, after one retry; it is kept."""

    default_hint = (
        "The text is kept in _cfai. Simplify the schema, raise --max-tokens, or choose a larger "
        "model with -m."
    )


class ToolStepsExceededError(CfaiError):
    """The model still calls functions at the step limit; the received part is kept."""


class BudgetCutoffError(CfaiError):
    """The answer was cut off at the end of a budget; the received part is kept."""

    default_hint = (
        "The text so far is kept. %cfai budget shows what is left, %cfai budget N raises."
    )


class InterruptedAnswerError(CfaiError):
    """The user stopped the answer; the received part is kept."""

    default_hint = "What had arrived is kept in _cfai."
