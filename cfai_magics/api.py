"""Python API: ask, stream, embed, similarity, map, run and panel, in the session of the magics."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Self, Unpack

from .arguments import reject_unknown_arguments, require_str
from .display.heatmap import HeatMap
from .display.tables import format_retry_message
from .errors import CfaiError, InvalidOptionError
from .session.session import Session
from .session.stream import AnswerStream
from .settings import get_home_folder, load_settings
from .terminal import sanitize_text
from .types.messages import Answer, Fields, Message, Request, TextDelta
from .types.results import Embeddings, TaskResult, output_metadata
from .workers_ai.retry import OnRetry
from .workers_ai.task_requests import Payload

if TYPE_CHECKING:
    from .widgets.panel import Panel


class TextStream:
    """Iterator over the text deltas of one streamed answer.

    `answer` is the part received so far, with its usage. Use a `with` block, so that the
    connection is closed at once when a loop ends early.
    """

    def __init__(self, answer_stream: AnswerStream) -> None:
        self._answer_stream = answer_stream

    def __iter__(self) -> Iterator[str]:
        return (delta.text for delta in self._answer_stream if isinstance(delta, TextDelta))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answer_stream.close()

    @property
    def answer(self) -> Answer:
        """The part of the answer that was received so far."""
        return self._answer_stream.answer


@reject_unknown_arguments
def ask(prompt: str, *, model: str = "", system: str = "", **fields: Unpack[Fields]) -> Answer:
    """Send one prompt and return the whole answer.

    `fields` are those of Request; `stop` is one text or several. Raises CfaiError, whose `answer`
    is the part that was received.
    """
    session = get_current_session()
    with session.stream(
        _build_request(session, prompt, model, system, fields), _report_retry
    ) as answer_stream:
        for _ in answer_stream:
            pass
        return answer_stream.answer


@reject_unknown_arguments
def stream(
    prompt: str, *, model: str = "", system: str = "", **fields: Unpack[Fields]
) -> TextStream:
    """Send one prompt and return an iterator over the answer's text; arguments as for ask."""
    session = get_current_session()
    return TextStream(
        session.stream(_build_request(session, prompt, model, system, fields), _report_retry)
    )


@reject_unknown_arguments
def embed(texts: str | Iterable[str], *, model: str = "") -> Embeddings:
    """Return one vector per text, in the order of the texts; a request has at most 100 texts.

    `texts` is one text or a list, series, array or generator of them.
    """
    return get_current_session().embed(texts, model, on_retry=_report_retry)


@reject_unknown_arguments
def similarity(texts: str | Iterable[str], *, model: str = "") -> HeatMap:
    """Return the pairwise similarities of texts as a heat map with the attribute `matrix`."""
    embeddings = embed(texts, model=model)
    return HeatMap(embeddings.texts, embeddings.similarities(), output_metadata(embeddings))


@reject_unknown_arguments
def map(  # noqa: A001, PLR0913 - its name everywhere; all of it is given by name
    template: str,
    data: Any,
    *,
    model: str = "",
    system: str = "",
    schema: Any = None,
    concurrency: int = 8,
    max_neurons: float | None = None,
    confirm: bool = True,
    queue: bool = False,
    fresh: bool = False,
    **fields: Unpack[Fields],
) -> Any:
    """Fill the prompt template with each row of `data`, send the prompts and return the answers.

    {name} in `template` is the row's value in that column. `data` is a data frame or series of
    pandas or polars, a list of dicts, or a list of texts, whose one column is {text}. The return
    value is the same kind of table with the columns answer, error and neurons added.

    The total cost is estimated, printed and reserved first. If it exceeds the setting
    confirm_neurons, the user has to confirm, unless `max_neurons` sets a limit or `confirm` is
    False. Equal prompts are sent once. Answers are cached as they arrive, so a second run sends
    only the missing prompts, unless `fresh` is True. `schema` is a dict, a pydantic model or the
    path of a JSON file. `queue` uses the Batch API. `fields` are those of `ask`.
    """
    from .batch.map_run import MapOptions
    from .batch.plan import make_plan
    from .frontends.notebook import create_map_runner

    session = get_current_session()
    options = MapOptions(concurrency, max_neurons, confirm, queue, fresh)
    plan = make_plan(session, template, data, model=model, system=system, schema=schema, **fields)
    return create_map_runner(session).run(plan, options)


@reject_unknown_arguments
def run(
    model: str,
    payload: Payload,
    *,
    content_type: str | None = None,
    files: Mapping[str, Any] | None = None,
    on_retry: OnRetry | None = None,
    max_neurons: float | None = None,
) -> TaskResult:
    """Run a native task of Workers AI and return its unparsed result.

    `payload` is sent as JSON, or as bytes with the `content_type`. With `files`, in the form that
    httpx takes, all fields are sent as multipart/form-data. `max_neurons` limits this call.
    """
    return get_current_session().run(
        model,
        payload,
        content_type=content_type,
        files=files,
        on_retry=on_retry or _report_retry,
        max_neurons=max_neurons,
    )


def panel() -> "Panel":
    """Return the widget panel of the session; a notebook displays it, and `close` frees it."""
    from .widgets.panel import open_panel

    return open_panel(get_current_session())


def _report_retry(error: CfaiError, seconds: float, next_attempt: int) -> None:
    """Write to stderr why the request is delayed."""
    sys.stderr.write(sanitize_text(f"{format_retry_message(error, seconds, next_attempt)}\n"))


def _build_request(
    session: Session, prompt: str, model: str, system: str, fields: Fields
) -> Request:
    prompt_text = require_str(prompt, "The prompt")
    if not prompt_text.strip():
        raise InvalidOptionError("The prompt is empty", 'ask("What is a neuron?")')
    system = require_str(system or "", "system") or session.settings.system
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    return session.build_request(
        [*messages, {"role": "user", "content": prompt_text}], model, **fields
    )


def get_current_session() -> Session:
    """Return the session of the magics if they are loaded, else one session for this process."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    magics = shell and shell.magics_manager.registry.get("CfaiMagics")
    return magics.session if magics else get_process_session()


@cache
def get_process_session() -> Session:
    """Return the session of this process, which is used without the magics."""
    return Session(load_settings(get_home_folder()), get_home_folder())
