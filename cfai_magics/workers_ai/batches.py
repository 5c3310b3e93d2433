"""The queue of the Batch API: many requests sent at once, asked for until they are answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ..values import Finish, Request, Text, Usage
from . import chat, tasks
from .connection import Connection, OnRetry, json_content
from .gateway import Gateway, through
from .wire import Reader


@dataclass(frozen=True, slots=True)
class BatchReply:
    """The answer to one request of a batch; `error` tells why there is none."""

    text: str = ""
    finish: str = "unknown"
    usage: Usage = field(default_factory=Usage)
    error: str = ""


def batch_reply(response: Mapping[str, Any]) -> BatchReply:
    """Return what one reply of a batch says, in whatever dialect."""
    if response.get("success") is False:
        errors = response.get("errors") or response.get("error") or []
        first = errors[0] if isinstance(errors, list) and errors else errors
        told = first.get("message") if isinstance(first, Mapping) else first
        return BatchReply(error=str(told or "it failed"))
    reader = Reader()
    deltas = [*reader.read(tasks.batch_answer(response)), *reader.end()]
    text = "".join(delta.text for delta in deltas if isinstance(delta, Text))
    reasons = [delta.reason for delta in deltas if isinstance(delta, Finish)]
    return BatchReply(text, reasons[-1] if reasons else "unknown", reader.usage)


class Batches:
    """The queue of one account, whose address is `root`."""

    def __init__(self, connection: Connection, root: str) -> None:
        self._connection = connection
        self._root = root

    def enqueue(
        self,
        requests: Sequence[Request],
        on_retry: OnRetry | None = None,
        gateway: Gateway | None = None,
    ) -> str:
        """Put requests to one model into the queue; return the batch's id."""
        model = requests[0].model
        body = tasks.batch_body([chat.body(request) for request in requests])
        sent = through(gateway, json_content(body))
        url = f"{self._url(model)}?queueRequest=true"
        return tasks.batch_id(self._connection.ask("POST", url, model, on_retry, **sent)[0])

    def fetch(
        self, model: str, batch: str, on_retry: OnRetry | None = None
    ) -> dict[int, BatchReply] | None:
        """Return the answers of a batch by their places; None while it is in the queue."""
        sent = json_content({"request_id": batch})
        reply, _ = self._connection.ask("POST", self._url(model), on_retry=on_retry, **sent)
        found = tasks.batch_replies(reply)
        if found is None:
            return None
        return {place: batch_reply(one) for place, one in found.items()}

    def _url(self, model: str) -> str:
        return self._root + tasks.run_path(quote(model, safe="@/"))
