"""Build request bodies and parse responses for the Workers AI endpoints."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from ..errors import (
    AuthenticationError,
    BadRequestError,
    BatchFailedError,
    PermissionDeniedError,
    ResponseFormatError,
    ServerError,
    WorkersAIError,
)
from ..i18n import _, mark, ngettext
from ..pricing.prices import USD_PER_NEURON, parse_prices
from ..types.messages import Message, Request
from ..types.usage import Model
from .error_mapping import error_from_body, find_error_text
from .frame_decoder import parse_neurons, parse_usage, unwrap_envelope

if TYPE_CHECKING:
    from ..types.results import TaskResult


CLOUDFLARE_HOST = "cloudflare.com"
USER_TOKEN_PATH = "/user/tokens/verify"  # noqa: S105 - a URL path
# Cloudflare checks the permissions before it reports that the model does not exist.
PERMISSION_PROBE = {"model": "@cf/none/none", "messages": [{"role": "user", "content": "-"}]}
ACTIVE_STATUS = "active"
GRAPHQL_PATH = "/graphql"
RUN_PATH = "/ai/run/"  # followed by the name of a model
GRAPHQL_NODE = "aiInferenceAdaptiveGroups"
# Cloudflare's GraphQL schema spells the scalar type "string" in lowercase.
ANALYTICS_QUERY = f"""query($account:string!,$begin:Time!,$end:Time!){{
  viewer{{accounts(filter:{{accountTag:$account}}){{
    {GRAPHQL_NODE}(limit:1000,filter:{{datetime_geq:$begin,datetime_lt:$end}},orderBy:[sum_totalNeurons_DESC]){{
      sum{{totalNeurons}} dimensions{{modelId}}
    }}
  }}}}
}}"""
TIMESTAMP_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
ANALYTICS_PERMISSION_HINT = mark(
    "Give the token the Account Analytics - Read permission on the dashboard's API Tokens page."
)
PENDING_STATUSES = ("queued", "running")  # of a batch
FAILED_STATUS = re.compile("fail|error|cancel|abort|expire|reject|timed?.?out")
MAX_FLOAT32 = 3.40282347e38  # in 9 digits, as in recordings
MAX_TEXTS_PER_REQUEST = 100  # limit set by Workers AI
PAGE_SIZE = 100


class TokenCheck(NamedTuple):
    """The result of verifying an API token.

    `owner` is "user" or "account". `can_read` is True if the token may list models, and `can_run`
    is True if it may run models. They require the Workers AI - Read and Workers AI - Edit
    permissions, respectively. `expires_on` is an ISO date, or None if the response has none.
    """

    status: str
    owner: Literal["user", "account"]
    can_read: bool
    can_run: bool
    expires_on: str | None = None


class ClassStatus(NamedTuple):
    """What a class server reports about a student.

    `budget` is the student's neurons per day. `spent` is the neurons spent and reserved today.
    """

    name: str
    budget: float
    spent: float


def is_cloudflare_url(url: str) -> bool:
    """Return whether a URL is one of Cloudflare's."""
    host = urlsplit(url).hostname or ""
    return host == CLOUDFLARE_HOST or host.endswith(f".{CLOUDFLARE_HOST}")


def account_token_path(account_id: str) -> str:
    """Return the URL path for verifying a token owned by the account."""
    return f"/accounts/{account_id}/tokens/verify"


def parse_token_check(body: Any, owner: str, *, can_read: bool, can_run: bool) -> TokenCheck:
    """Return the TokenCheck for a verify response, with the given owner and permissions."""
    expires_on = _get_result(body).get("expires_on")
    return TokenCheck(
        status=require_active_token(body),
        owner="account" if owner == "account" else "user",
        can_read=can_read,
        can_run=can_run,
        expires_on=expires_on if isinstance(expires_on, str) else None,
    )


def require_active_token(body: Any) -> str:
    """Return the token status from a verify response, which is "active".

    Raises:
        AuthenticationError: The token has another status, such as disabled or expired.
        ServerError: The response has no status.
    """
    status = _get_result(body).get("status")
    if not isinstance(status, str) or not status:
        raise ServerError(_("The response does not contain the status of the token"))
    if status != ACTIVE_STATUS:
        raise AuthenticationError(_("The token is {status}").format(status=status))
    return status


def _get_result(body: Any) -> Mapping[str, Any]:
    result = body.get("result") if isinstance(body, dict) else None
    return result if isinstance(result, dict) else {}


def analytics_body(account_id: str, day: datetime) -> dict[str, Any]:
    """Return the GraphQL request body for the neurons used on one UTC day, by model."""
    day_start = day.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    variables = {
        "account": account_id,
        "begin": day_start.strftime(TIMESTAMP_FORMAT),
        "end": (day_start + timedelta(days=1)).strftime(TIMESTAMP_FORMAT),
    }
    return {"query": ANALYTICS_QUERY, "variables": variables}


def parse_neurons_by_model(body: Any) -> dict[str, float]:
    """Return the neurons by model from an analytics response.

    Raises:
        PermissionDeniedError: The token lacks the analytics permission.
        BadRequestError: The response contains another error.
        ServerError: The response can't be parsed.
    """
    if isinstance(body, Mapping) and body.get("errors"):
        raise _analytics_error(body["errors"])
    try:
        (account,) = body["data"]["viewer"]["accounts"]
        neurons: dict[str, float] = {}
        for group in account[GRAPHQL_NODE]:
            name = str(group["dimensions"]["modelId"])
            neurons[name] = neurons.get(name, 0.0) + _neurons(group["sum"]["totalNeurons"])
    except (KeyError, TypeError, ValueError):
        raise ServerError(_("The analytics response can't be parsed")) from None
    return neurons


def _neurons(value: Any) -> float:
    neurons = parse_neurons(value)
    if neurons is None:
        raise ValueError(value)
    return neurons


def _analytics_error(errors: Any) -> WorkersAIError:
    item = errors[0] if isinstance(errors, list) else errors
    first_error = item if isinstance(item, Mapping) else {"message": item}
    message = str(first_error.get("message") or _("the request was rejected"))
    cause = _("Analytics: {message}").format(message=message)
    extensions = first_error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, Mapping) else extensions
    if code == "authz" or "not authorized" in message.lower():
        return PermissionDeniedError(cause, _(ANALYTICS_PERMISSION_HINT))
    return BadRequestError(cause, _("Try again later. The ledger's figures remain valid."))


THINK_FIELD = "chat_template_kwargs"  # turns a model's reasoning on or off
EFFORT_FIELD = "reasoning_effort"
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")  # in ascending order


def chat_body(
    request: Request, *, cloudflare: bool = True, model: Model | None = None
) -> dict[str, Any]:
    """Return the JSON body of a chat request, leaving out fields that are None.

    `model` is the request's model in the catalog, which says how its reasoning is switched.
    """
    fields: dict[str, Any] = {
        "model": request.model,
        "messages": [_with_content(message) for message in request.messages],
        "stream": request.stream,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": list(request.stop) or None,
    }
    if request.stream and not cloudflare:
        fields["stream_options"] = {"include_usage": True}  # Cloudflare always includes it
    if request.think is not None:
        fields |= _reasoning_fields(model, think=request.think)
    return {name: value for name, value in fields.items() if value is not None} | dict(
        request.extra
    )


def _reasoning_fields(model: Model | None, *, think: bool) -> dict[str, Any]:
    """Return the fields that switch a model's reasoning.

    Models read one of them and ignore the others. If reasoning cannot be switched off, the lowest
    effort is requested.
    """
    switch = {"enable_thinking": think}
    if model and "/kimi-" in model.name:
        switch["thinking"] = think
    if think or model is None or not model.reasoning_efforts:
        return {THINK_FIELD: switch}
    efforts = [effort for effort in EFFORTS if effort in model.reasoning_efforts]
    return {THINK_FIELD: switch} | ({EFFORT_FIELD: efforts[0]} if efforts else {})


def _with_content(message: Message) -> dict[str, Any]:
    """Return the message with null content replaced by "".

    Some models reject null content (error 8001).
    """
    return {**message, "content": "" if message.get("content") is None else message["content"]}


def split_batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the texts in batches of at most MAX_TEXTS_PER_REQUEST."""
    for start in range(0, len(texts), MAX_TEXTS_PER_REQUEST):
        yield texts[start : start + MAX_TEXTS_PER_REQUEST]


def embeddings_body(model: str, texts: Sequence[str]) -> dict[str, Any]:
    """Return the JSON body of an embeddings request."""
    return {"model": model, "input": list(texts)}


def parse_embeddings(body: Any, count: int) -> list[tuple[float, ...]]:
    """Return the vectors from a response, in the order of the texts.

    Args:
        body: The JSON response.
        count: Number of texts in the request.

    Returns:
        `count` vectors of d floats.

    Raises:
        ServerError: The response does not contain one valid vector per text.
    """
    body = unwrap_envelope(body)
    items = body.get("data") if isinstance(body, dict) else None
    try:
        vectors = list(map(_parse_vector, _in_order(items, count)))
        _require_equal_lengths(vectors)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ServerError(
            ngettext(
                "The response does not contain the vector of {count} text",
                "The response does not contain one vector for each of {count} texts",
                count,
            ).format(count=count)
        ) from None
    return vectors


def _require_equal_lengths(vectors: Sequence[Sequence[float]]) -> None:
    if len(set(map(len, vectors))) > 1:
        raise ValueError("dimensions")


def _in_order(items: Any, count: int) -> list[Any]:
    """Return the `count` items of an embeddings response in the order of the texts.

    Indexes may start at 1. Without a different index for each item, the items are in order.
    """
    if not isinstance(items, list) or len(items) != count:
        raise ValueError("number of items")
    indexes = [_int_or_none(item.get("index")) if type(item) is dict else None for item in items]
    if len(set(indexes)) == 1:
        return items
    items_by_index = dict(zip(indexes, items, strict=True))
    first = 0 if 0 in items_by_index else 1
    return [items_by_index[index] for index in range(first, first + count)]


def _parse_vector(item: Any) -> tuple[float, ...]:
    """Return the vector in an item; recordings contain it as numbers of 32 bits."""
    numbers = item["embedding"] if isinstance(item, dict) else item
    if not isinstance(numbers, list) or not numbers or set(map(type, numbers)) - {int, float}:
        raise TypeError("not a list of numbers")
    vector = tuple(map(float, numbers))
    is_finite = math.isfinite(sum(vector))  # False for NaN, which min and max may miss
    if not is_finite or max(vector) > MAX_FLOAT32 or min(vector) < -MAX_FLOAT32:
        raise ValueError("not a finite number")
    return vector


def multipart_kwargs(payload: Mapping[str, Any] | bytes, files: Any) -> dict[str, Any]:
    """Return httpx arguments for sending fields and files as a form; {} if `files` is None."""
    if files is None:
        return {}
    fields = payload if isinstance(payload, Mapping) else {}
    return {"files": {**{name: (None, str(value)) for name, value in fields.items()}, **files}}


# --- batches


def batch_body(bodies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the JSON body of a batch, with each request's index as external_reference."""
    excluded_fields = {"model", "stream"}
    return {
        "requests": [
            {
                **{name: value for name, value in body.items() if name not in excluded_fields},
                "external_reference": str(index),
            }
            for index, body in enumerate(bodies)
        ]
    }


def parse_batch_id(body: Any) -> str:
    """Return the batch ID from a response. Raises ServerError if it is missing."""
    result = unwrap_envelope(body)
    request_id = result.get("request_id") if isinstance(result, dict) else None
    if not isinstance(request_id, str) or not request_id:
        raise ServerError(_("The response does not contain a batch ID"))
    return request_id


def parse_batch_responses(body: Any) -> dict[int, Any] | None:
    """Return the responses in a batch by request index; None while the batch is queued.

    The responses may be in any order. The response for a failed request contains its error.

    Raises:
        BatchFailedError: The batch has failed. Its `__cause__` is the error in the response.
        ServerError: The response does not contain a batch.
    """
    result = unwrap_envelope(body)
    if not isinstance(result, dict):
        raise ServerError(_("The response does not contain a batch"))
    status, responses = str(result.get("status") or "").lower(), result.get("responses")
    if status in PENDING_STATUSES:
        return None
    if FAILED_STATUS.search(status) and not responses:
        raise _batch_error(status, result) from error_from_body(result)
    if isinstance(responses, list):
        return _responses_by_index(responses)
    if not status:
        raise ServerError(_("The response does not contain a batch"))
    return None


def _batch_error(status: str, result: Mapping[str, Any]) -> BatchFailedError:
    cause = _("The batch has the status {status}").format(status=status)
    reason = find_error_text(result)
    if reason:
        cause = _("{cause}: {reason}").format(cause=cause, reason=reason)
    return BatchFailedError(cause)


def _responses_by_index(responses: Sequence[Any]) -> dict[int, Any]:
    return {
        index: response
        for response in responses
        if (index := _response_index(response)) is not None
    }


def _response_index(response: Any) -> int | None:
    if not isinstance(response, dict):
        return None
    reference = response.get("external_reference")
    index_text = str(response.get("id") if reference is None else reference)
    return int(index_text) if index_text.isdecimal() else None


def unwrap_batch_response(response: Mapping[str, Any]) -> Any:
    """Return the answer from one response in a batch, without an inner envelope."""
    result = response.get("result")
    if (
        isinstance(result, dict)
        and set(result) & {"success", "result"}
        and "choices" not in result
    ):
        return unwrap_envelope({"success": True, "result": None, **result})
    return result


# --- native tasks


def task_result_from_json(
    body: Any, content_type: str, headers: Mapping[str, str]
) -> "TaskResult":
    """Return the TaskResult for a JSON response, without Cloudflare's envelope."""
    from ..types.results import TaskResult

    result = unwrap_envelope(body)
    raw_usage = result.get("usage") if isinstance(result, dict) else None
    usage = parse_usage(raw_usage, headers)
    return TaskResult(result=result, content_type=content_type, usage=usage)


def task_result_from_bytes(
    content: bytes, content_type: str, headers: Mapping[str, str]
) -> "TaskResult":
    """Return the TaskResult for a binary response, such as an image or audio."""
    from ..types.results import TaskResult

    usage = parse_usage(None, headers)
    return TaskResult(content=content, content_type=content_type, usage=usage)


def is_last_page(body: Any, page: int) -> bool:
    """Return whether `page` is the last page of the model list."""
    items = require_items(body)
    info = body.get("result_info") if items else None
    total = info.get("total_count") if isinstance(info, dict) else None
    if isinstance(total, int):
        return page * PAGE_SIZE >= total
    return len(items) < PAGE_SIZE


def parse_models(body: Any) -> list[Model]:
    """Return the models on one page, skipping invalid items."""
    return [model for model in map(_parse_model_or_none, require_items(body)) if model]


def require_items(body: Any) -> list[Any]:
    """Return the items on one page of the model list. Raises ServerError for other responses."""
    result = body.get("result") if isinstance(body, dict) else None
    if not isinstance(result, list):
        raise no_models_error()
    return result


def parse_class_models(body: Any) -> list[Model]:
    """Return the models that a class server lists in OpenAI's format, without their properties.

    Raises:
        ServerError: The response has another format.
    """
    items = body.get("data") if isinstance(body, dict) else None
    if not isinstance(items, list):
        raise no_models_error()
    names = (item.get("id") for item in items if isinstance(item, dict))
    return [Model(name) for name in names if isinstance(name, str) and name]


def parse_class_status(body: Any) -> ClassStatus:
    """Return the figures in the response of a class server to GET /me.

    Raises:
        ResponseFormatError: The response is not that of a class server.
    """
    values = body if isinstance(body, dict) else {}
    name = values.get("name")
    budget, spent, reserved = (
        parse_neurons(values.get(key)) for key in ("budget", "spent", "reserved")
    )
    if not isinstance(name, str) or budget is None or spent is None or reserved is None:
        raise ResponseFormatError(_("The server at this address is not a class server"))
    return ClassStatus(name, budget, spent + reserved)


def parse_class_figures(headers: Mapping[str, str]) -> tuple[float, float] | None:
    """Return a student's neurons per day, and those spent today before the call, from headers.

    Return None if the headers are missing or not valid.
    """
    try:
        budget = parse_neurons(float(headers["cfai-budget"]))
        spent = parse_neurons(float(headers["cfai-spent"]))
    except (KeyError, ValueError):
        return None
    return None if budget is None or spent is None else (budget, spent)


def no_models_error() -> ServerError:
    """Return the error for a model list without models."""
    return ServerError(_("The response does not contain a list of models"))


def _parse_model_or_none(item: Any) -> Model | None:
    try:
        return _parse_model(item) if item["name"] and isinstance(item["name"], str) else None
    except (AttributeError, KeyError, TypeError, OverflowError):
        return None


def _parse_model(item: Mapping[str, Any]) -> Model:
    properties = {
        entry["property_id"]: entry.get("value")
        for entry in item.get("properties") or []
        if isinstance(entry, dict) and "property_id" in entry
    }
    return Model(
        name=item["name"],
        task=str((item.get("task") or {}).get("name") or ""),
        context_window=_int_or_none(
            properties.get("context_window") or properties.get("max_input_tokens")
        ),
        vision=_parse_bool(properties.get("vision")),
        tools=_parse_bool(properties.get("function_calling")),
        reasoning=_parse_bool(properties.get("reasoning")),
        paid_plan_only=_parse_bool(properties.get("require_workers_paid")),
        deprecation_date=_parse_date(properties.get("planned_deprecation_date")),
        supports_batch_api=_parse_bool(properties.get("async_queue")),
        reasoning_efforts=_parse_efforts(properties.get("reasoning_effort")),
        **_parse_price_items(properties.get("price")),
    )


def _parse_efforts(value: Any) -> tuple[str, ...]:
    """Return the efforts in the catalog's property, without "none" if reasoning is mandatory."""
    if not isinstance(value, dict) or not isinstance(value.get("supported_efforts"), list):
        return ()
    is_mandatory = _parse_bool(value.get("mandatory"))
    return tuple(
        effort
        for effort in value["supported_efforts"]
        if effort in EFFORTS and not (is_mandatory and effort == "none")
    )


def _parse_price_items(price_items: Any) -> dict[str, Any]:
    """Return the price fields for Model, converted from US dollars to neurons."""
    return parse_prices(
        (str(item["unit"]).removeprefix("per "), price / USD_PER_NEURON)
        for item in (price_items if isinstance(price_items, list) else [])
        if isinstance(item, dict)
        and "unit" in item
        and (price := _parse_price(item.get("price"))) is not None
    )


def _parse_price(value: Any) -> float | None:
    """Return a price as a number; None for a value that is not a valid price."""
    try:
        price = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return price if 0 <= price < math.inf and not isinstance(value, bool) else None


def _parse_date(value: Any) -> str | None:
    """Return an ISO date; None for other values."""
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        return None


def _parse_bool(value: Any) -> bool:
    return str(value).lower() == "true"


def _int_or_none(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None
