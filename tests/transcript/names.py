"""Names of the package that the session reads, except commands, options and settings.

If an attribute or exception class is renamed, change one line here; the golden files stay.
"""

import sys
from typing import Any

# Name in the transcript -> attribute of an answer today.
FIELDS = {
    "model": "model",
    "text": "text",
    "reasoning": "reasoning",
    "tool calls": "tool_calls",
    "function calls": "tool_results",
    "finish reason": "finish_reason",
    "neurons": "neurons",
    "source of neurons": "cost_basis",
    "seconds": "seconds",
    "seconds to first token": "first_token_seconds",
    "local": "is_local",
    "via": "endpoint",
    "notes": "notes",
    "parsed": "parsed",
    "work": "work_summary",
    "has raw reply": "raw",
}
USAGE = {
    "prompt tokens": "prompt_tokens",
    "cached tokens": "cached_tokens",
    "completion tokens": "completion_tokens",
}
EMBEDDINGS = {"texts": "texts", "vectors": "vectors"}

# Text today -> text in the transcript: a message that names an attribute.
TEXTS = {"_cfai.reasoning": "_cfai.thought"}

# Name of a class today -> its name in the transcript: its name in 0.1.0.
NAMES: dict[str, str] = {
    "APIConnectionError": "ConnectionFailed",
    "AnswerSet": "Answers",
    "APITimeoutError": "RequestTimeout",
    "AccountNotFoundError": "AccountNotFound",
    "BadRequestError": "BadInput",
    "BudgetCutoffError": "BudgetReached",
    "BudgetExceededError": "BudgetExceeded",
    "CapacityError": "NoCapacity",
    "ContextLengthError": "ContextTooLong",
    "CoursePolicyError": "CourseRule",
    "DailyQuotaError": "AllowanceUsedUp",
    "GatewayLimitError": "GatewayLimit",
    "IncompleteStreamError": "CutStream",
    "InterruptedAnswerError": "Interrupted",
    "InvalidAccountIdError": "NotAnAccountId",
    "InvalidOptionError": "BadOption",
    "InvalidSettingError": "SettingInvalid",
    "LockedSettingError": "SettingRefused",
    "MissingCredentialsError": "NoCredentials",
    "ModelNotFoundError": "UnknownModel",
    "NotRecordedError": "NotRecorded",
    "PaidPlanRequiredError": "PaidPlanOnly",
    "PermissionDeniedError": "PermissionDenied",
    "RateLimitError": "RateLimited",
    "SchemaMismatchError": "SchemaMismatch",
    "StorageError": "StoreError",
    "TokenInCommandError": "TokenOnLine",
    "ToolStepsExceededError": "TooManySteps",
    "ToolsNotSupportedError": "NoTools",
    "ResponseTooLargeError": "ReplyTooLarge",
    "VisionNotSupportedError": "NoVision",
}


def fields(answer: Any) -> None:
    """Print the fields of one or several answers, without empty fields."""
    for each in answer if hasattr(answer, "__len__") else [answer]:
        usage = {name: getattr(each.usage, now) for name, now in USAGE.items()}
        values = {name: getattr(each, now) for name, now in FIELDS.items()} | usage
        values["has raw reply"] = values["has raw reply"] is not None
        for name, value in values.items():
            if value not in (None, "", (), False):
                sys.stdout.write(f"{name}: {_plain(value)}\n")


def _plain(value: Any) -> str:
    """Return a value without the names of its class and fields."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_plain, value))})"
    if isinstance(value, str | int | float | list | dict | bool):
        return repr(value)
    slots = getattr(type(value), "__dataclass_fields__", {})
    if slots and type(value).__module__.startswith("cfai_magics"):
        return f"({', '.join(_plain(getattr(value, name)) for name in slots)})"
    return str(value)


def numbers(embeddings: Any) -> None:
    """Print the number and length of the vectors, and the first numbers."""
    vectors = getattr(embeddings, EMBEDDINGS["vectors"])
    beginning = [round(float(number), 4) for number in vectors[0][:4]]
    sys.stdout.write(f"{len(vectors)} {len(vectors[0])} {beginning}\n")
