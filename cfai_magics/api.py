"""The Python interface: ask, stream, embed, similarity, run, on the session of the magics."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Self, Unpack

from .arguments import checked_names, text_of
from .errors import BadOption, CfaiError
from .render.formats import next_try
from .render.heatmap import HeatMap
from .route.route import OnRetry
from .session import Session
from .session.answer_stream import AnswerStream
from .settings import home, load_settings
from .terminal import safe_text
from .values import Answer, Message, Request, Text
from .values.provenance import metadata_of
from .values.request import Fields
from .values.results import Embeddings, RawResult
from .workers_ai.work import Payload

if TYPE_CHECKING:
    from .widgets.panel import Panel


class TextStream:
    """The text of one answer, piece by piece; `answer` is what has arrived, with its usage.

    Use it in a `with` block to be sure that leaving the loop early closes the connection at once.
    """

    def __init__(self, deltas: AnswerStream) -> None:
        self._deltas = deltas

    def __iter__(self) -> Iterator[str]:
        return (delta.text for delta in self._deltas if isinstance(delta, Text))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._deltas.close()

    @property
    def answer(self) -> Answer:
        """What has arrived, as an Answer."""
        return self._deltas.answer


@checked_names
def ask(prompt: str, *, model: str = "", system: str = "", **fields: Unpack[Fields]) -> Answer:
    """Ask one question and return the whole answer.

    `fields` are those of Request; `stop` is one text or several. Raises CfaiError, which bears
    what had arrived as `answer`.
    """
    session = current_session()
    with session.stream(_request(session, prompt, model, system, fields), _tell) as deltas:
        for _ in deltas:
            pass
        return deltas.answer


@checked_names
def stream(
    prompt: str, *, model: str = "", system: str = "", **fields: Unpack[Fields]
) -> TextStream:
    """Ask one question and return its answer's text as it comes; otherwise like ask."""
    session = current_session()
    return TextStream(session.stream(_request(session, prompt, model, system, fields), _tell))


@checked_names
def embed(texts: str | Iterable[str], *, model: str = "") -> Embeddings:
    """Return one vector per text, in their order; each request contains up to 100 texts.

    `texts` is one text or a list, series, array or generator of them.
    """
    return current_session().embed(texts, model, on_retry=_tell)


@checked_names
def similarity(texts: str | Iterable[str], *, model: str = "") -> HeatMap:
    """Return how near each text is to each: a heat map in a notebook, and its `matrix`."""
    found = embed(texts, model=model)
    return HeatMap(found.texts, found.similarities(), metadata_of(found))


@checked_names
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
    """Ask the template for each row, {name} standing for the row's value under that name.

    `data` is a data frame or series of pandas or polars, a list of dicts, or a list of texts,
    whose one column is {text}. Given back is the same with the columns answer, error and neurons.
    What all may cost is told and reserved first; above the setting confirm_neurons it is asked
    whether to go on, unless `max_neurons` sets a limit or `confirm` is False. Equal prompts are
    asked once, and answers are kept as they come: running the same again asks only for what is
    missing, unless `fresh`. `schema` is a dict, a pydantic model or a JSON file's path; `queue`
    takes the Batch API; `fields` are those of `ask`.
    """
    from .ipython.doors import mapper
    from .mapping import How, plan_of

    session = current_session()
    how = How(concurrency, max_neurons, confirm, queue, fresh)
    plan = plan_of(session, template, data, model=model, system=system, schema=schema, **fields)
    return mapper(session).map(plan, how)


@checked_names
def run(
    model: str,
    payload: Payload,
    *,
    content_type: str | None = None,
    files: Mapping[str, Any] | None = None,
    on_retry: OnRetry | None = None,
    max_neurons: float | None = None,
) -> RawResult:
    """Run one of Workers AI's native tasks, and return its reply in its raw form.

    `payload` is what the task takes as JSON, or bytes of a `content_type`; `files`, as httpx takes
    them, are sent with it as a form. `max_neurons` limits this call.
    """
    return current_session().run(
        model,
        payload,
        content_type=content_type,
        files=files,
        on_retry=on_retry or _tell,
        max_neurons=max_neurons,
    )


def panel() -> "Panel":
    """Return the panel of the session: show it in a notebook; `close` frees it."""
    from .widgets.panel import open_panel

    return open_panel(current_session())


def _tell(error: CfaiError, pause: float, number: int) -> None:
    """Tell why nothing comes yet."""
    sys.stderr.write(safe_text(f"{next_try(error, pause, number)}\n"))


def _request(session: Session, prompt: str, model: str, system: str, fields: Fields) -> Request:
    asked = text_of(prompt, "The prompt")
    if not asked.strip():
        raise BadOption("The prompt is empty", 'ask("What is a neuron?")')
    system = text_of(system or "", "system") or session.settings.system
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    return session.request([*messages, {"role": "user", "content": asked}], model, **fields)


def current_session() -> Session:
    """Return the session of the magics where they are loaded, else one for this process."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    loaded = shell and shell.magics_manager.registry.get("CfaiMagics")
    return loaded.session if loaded else _own_session()


@cache
def _own_session() -> Session:
    return Session(load_settings(home()), home())
