"""What to ask of Cloudflare's analytics about an account's neurons, and how to read the reply."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import BadInput, PermissionDenied, ServerError, WorkersAIError
from .usage import figure_of

PATH = "/graphql"
NODE = "aiInferenceAdaptiveGroups"
# Cloudflare writes its scalar types in lower case.
QUERY = f"""query($account:string!,$begin:Time!,$end:Time!){{
  viewer{{accounts(filter:{{accountTag:$account}}){{
    {NODE}(limit:1000,filter:{{datetime_geq:$begin,datetime_lt:$end}},orderBy:[sum_totalNeurons_DESC]){{
      sum{{totalNeurons}} dimensions{{modelId}}
    }}
  }}}}
}}"""
STAMP = "%Y-%m-%dT%H:%M:%SZ"
PERMISSION = (
    "Give the token the permission Account Analytics - Read on the dashboard's API Tokens page."
)


def body(account_id: str, day: datetime) -> dict[str, Any]:
    """Return the JSON body that asks for one UTC day, by model."""
    begin = day.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    variables = {
        "account": account_id,
        "begin": begin.strftime(STAMP),
        "end": (begin + timedelta(days=1)).strftime(STAMP),
    }
    return {"query": QUERY, "variables": variables}


def neurons_by_model(reply: Any) -> dict[str, float]:
    """Return what the reply says each model used; raises the error that it holds."""
    if isinstance(reply, Mapping) and reply.get("errors"):
        raise _refusal(reply["errors"])
    try:
        (account,) = reply["data"]["viewer"]["accounts"]
        found: dict[str, float] = {}
        for group in account[NODE]:
            name = str(group["dimensions"]["modelId"])
            found[name] = found.get(name, 0.0) + _neurons(group["sum"]["totalNeurons"])
    except (KeyError, TypeError, ValueError):
        raise ServerError("The reply of the analytics can't be read") from None
    return found


def _neurons(value: Any) -> float:
    neurons = figure_of(value)
    if neurons is None:
        raise ValueError(value)
    return neurons


def _refusal(errors: Any) -> WorkersAIError:
    first = errors[0] if isinstance(errors, list) and isinstance(errors[0], Mapping) else {}
    message = str(first.get("message") or "The analytics refused the question")
    extensions = first.get("extensions") or {}
    if extensions.get("code") == "authz" or "not authorized" in message.lower():
        return PermissionDenied(f"Analytics: {message}", PERMISSION)
    return BadInput(f"Analytics: {message}", "Try again later: the ledger's own figures stand.")
