"""Python API: ask, stream, embed, similarity, map, run and panel, in the session of the magics."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from .arguments import check_arguments, require_str
from .display.heatmap import HeatMap
from .display.tables import format_retry_message
from .errors import CfaiError, InvalidOptionError
from .i18n import _
from .session.call import build_target_request
from .session.session import Session
from .session.stream import AnswerStream
from .settings import get_home_folder, load_settings
from .terminal import sanitize_text
from .types.messages import Answer, Message, Payload, TextDelta
from .types.provenance import output_metadata
from .types.results import Embeddings, TaskResult
from .workers_ai.retry import OnRetry

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

    def __exit__(self, *_exc_info: object) -> None:
        self._answer_stream.close()

    @property
    def answer(self) -> Answer:
        """The part of the answer received so far."""
        return self._answer_stream.answer


@check_arguments
def ask(  # noqa: PLR0913 - one argument per field, for completion
    prompt: str,
    *,
    model: str = "",
    system: str = "",
    max_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    stop: str | Iterable[str] | None = None,
    think: bool = False,
    stream: bool = True,
    extra: Mapping[str, Any] | None = None,
    max_neurons: float | None = None,
    gateway: str = "",
) -> Answer:
    """Send one prompt and return the whole answer.

    Args:
        prompt: The prompt. Braces are sent as typed: use an f-string for values.
        model: The model's name; the part after its last slash is enough. "" is the setting
            `model`.
        system: System prompt; "" is the setting `system`.
        max_tokens: Maximum number of tokens of the answer, at least 1; None is the setting
            `max_tokens` (2048).
        temperature: 0 (most predictable) to 5; None is the setting `temperature`. If that is
            also None, the model's own default applies.
        top_p: 0 to 1: sample only from the most likely tokens with this total probability.
        seed: The same seed gives the same answer, if the model supports it.
        stop: A text, or several; the answer ends before the first of them.
        think: Let a reasoning model think first. The reasoning costs tokens, and counts towards
            `max_tokens`.
        stream: Receive the answer in pieces. An interrupt then keeps the pieces received so far.
        extra: Further fields of the request's JSON body, which override the arguments.
        max_neurons: Maximum cost of this call in neurons, in addition to the budgets.
        gateway: Name of the AI Gateway to use, or "off" for none; "" is the setting `gateway`.

    Returns:
        The answer with its text, its token counts, and its cost in neurons.

    Raises:
        InvalidOptionError: An argument is unknown or not valid. Nothing was sent.
        ModelNotFoundError: The model does not exist.
        BudgetExceededError: The call may cost more than a budget has left. Nothing was sent.
        CoursePolicyError: The course's cfai.toml does not allow the call. Nothing was sent.
        BudgetCutoffError: The answer was cut off at the end of a budget.
        WorkersAIError: The request failed; its subclasses are listed in `cfai_magics.errors`.

        All are a CfaiError, whose `answer` is the part that was received before the error.
    """
    session = get_current_session()
    target = session.resolve_target(model)
    request = build_target_request(
        session.settings,
        target,
        _build_messages(session, prompt, system),
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        stop=stop,
        think=think,
        stream=stream,
        extra=extra,
    )
    with session.open_stream(
        request, target, _report_retry, max_neurons=max_neurons, gateway=gateway
    ) as answer_stream:
        for _delta in answer_stream:
            pass
        return answer_stream.answer


@check_arguments
def stream(  # noqa: PLR0913 - the arguments of ask
    prompt: str,
    *,
    model: str = "",
    system: str = "",
    max_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    stop: str | Iterable[str] | None = None,
    think: bool = False,
    stream: bool = True,
    extra: Mapping[str, Any] | None = None,
    max_neurons: float | None = None,
    gateway: str = "",
) -> TextStream:
    """Send one prompt and return an iterator over the answer's text; arguments as for `ask`.

    The arguments are checked at once. The request is sent when the iteration starts.

    Returns:
        An iterator over pieces of text. Its `answer` is the answer so far, with its usage.

    Raises:
        CfaiError: As for `ask`. Errors of the request are raised during the iteration.
    """
    session = get_current_session()
    target = session.resolve_target(model)
    request = build_target_request(
        session.settings,
        target,
        _build_messages(session, prompt, system),
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        stop=stop,
        think=think,
        stream=stream,
        extra=extra,
    )
    return TextStream(
        session.open_stream(
            request, target, _report_retry, max_neurons=max_neurons, gateway=gateway
        )
    )


@check_arguments
def embed(
    texts: str | Iterable[str], *, model: str = "", max_neurons: float | None = None
) -> Embeddings:
    """Return one embedding vector per text, in the order of the texts.

    Args:
        texts: One text, or a list, series, array or generator of texts. Each request has at most
            100 of them (Cloudflare's schema of bge-m3, read 2026-11-27).
        model: Name of an embedding model; "" is bge-m3, whose vectors have 1,024 dimensions.
        max_neurons: Maximum cost of all requests together, in neurons.

    Returns:
        n vectors of d numbers. `vectors` are tuples of floats, and `array` is a numpy array of
        dtype float64 and shape (n, d). A single text gives n = 1.

    Raises:
        InvalidOptionError: An argument is not valid, or one of the texts is not a str.
        CfaiError: As for `ask`.
    """
    return get_current_session().embed(
        texts, model, on_retry=_report_retry, max_neurons=max_neurons
    )


@check_arguments
def similarity(
    texts: str | Iterable[str], *, model: str = "", max_neurons: float | None = None
) -> HeatMap:
    """Embed texts and return their pairwise similarities as a heat map.

    Args:
        texts: The texts, as for `embed`.
        model: Name of an embedding model; "" is bge-m3.
        max_neurons: Maximum cost of all requests together, in neurons.

    Returns:
        A heat map that notebooks display. Its `matrix` has n rows of n floats for n texts: the
        cosine similarities, from -1 (opposite) to 1 (same direction).

    Raises:
        CfaiError: As for `embed`.
    """
    embeddings = embed(texts, model=model, max_neurons=max_neurons)
    return HeatMap(embeddings.texts, embeddings.similarities(), output_metadata(embeddings))


@check_arguments
def map(  # noqa: A001, PLR0913 - its name everywhere; one argument per field, for completion
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
    max_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    stop: str | Iterable[str] | None = None,
    think: bool = False,
    stream: bool = True,
    extra: Mapping[str, Any] | None = None,
) -> Any:
    """Fill the prompt template with each row of `data`, send the prompts and return the answers.

    The total cost is estimated, printed and reserved first. Equal prompts are sent once. Answers
    are cached as they arrive, so a second run sends only the missing prompts.

    Args:
        template: The prompt, in which {name} is the row's value in that column.
        data: A data frame or series of pandas or polars, a list of dicts, or a list of texts,
            whose only column is {text}.
        model: As for `ask`.
        system: As for `ask`.
        schema: A dict, a pydantic model, or the path of a JSON file. Each answer must match it.
        concurrency: Number of parallel calls, 1 to 100.
        max_neurons: Maximum cost of all calls together, in neurons.
        confirm: Ask the user before sending if the estimated cost exceeds the setting
            `confirm_neurons` (1,000) and `max_neurons` is None.
        queue: Send the prompts with Cloudflare's Batch API, to a model that supports it.
        fresh: Ignore cached answers, and send all prompts.
        max_tokens: As for `ask`, for each answer.
        temperature: As for `ask`.
        top_p: As for `ask`.
        seed: As for `ask`.
        stop: As for `ask`.
        think: As for `ask`.
        stream: As for `ask`.
        extra: As for `ask`.

    Returns:
        The rows as a data frame of the same library, or as a list of dicts, with the columns:
        answer, a str or the value of the schema, None if the row failed; error, a str, None if it
        succeeded; and neurons, a float64, 0.0 for cached answers and for repeated prompts.

    Raises:
        InvalidOptionError: An argument is not valid, {name} is not a column, or the front end
            can't ask for confirmation. Nothing was sent.
        BudgetExceededError: The map may cost more than a budget has left. Nothing was sent.
        InterruptedAnswerError: The user interrupted the map. Answers are cached.
        CfaiError: As for `ask`. An error of one row does not stop the map: see the column error.
    """
    from .batch.map_run import MapOptions
    from .batch.plan import make_plan
    from .frontends.notebook import create_map_runner

    session = get_current_session()
    request = session.build_request(
        (),
        model,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        stop=stop,
        think=think,
        stream=stream,
        extra=extra,
    )
    plan = make_plan(session, template, data, request, system=system, schema=schema)
    options = MapOptions(concurrency, max_neurons, confirm, queue, fresh)
    return create_map_runner(session).run(plan, options)


@check_arguments
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

    Args:
        model: The model's name; the part after its last slash is enough.
        payload: The fields of the request, which are sent as JSON, or bytes.
        content_type: MIME type of `payload` if it is bytes.
        files: Files by field name, as for httpx. All fields are then sent as
            multipart/form-data, which the flux-2 models require.
        on_retry: Called before a wait, with the error, the seconds to wait and the number of the
            next attempt. None prints the reason to stderr.
        max_neurons: Maximum cost of this call, in neurons.

    Returns:
        The JSON value in `result`, or the bytes in `content`, with the cost in neurons.

    Raises:
        InvalidOptionError: An argument is not valid. Nothing was sent.
        CfaiError: As for `ask`.
    """
    return get_current_session().run(
        model,
        payload,
        content_type=content_type,
        files=files,
        on_retry=on_retry or _report_retry,
        max_neurons=max_neurons,
    )


@check_arguments
def panel() -> "Panel":
    """Return the widget panel of the session; a notebook displays it, and `close` frees it."""
    from .widgets.panel import open_panel

    return open_panel(get_current_session())


def _report_retry(error: CfaiError, seconds: float, next_attempt: int) -> None:
    """Write to stderr why the request is delayed."""
    sys.stderr.write(sanitize_text(f"{format_retry_message(error, seconds, next_attempt)}\n"))


def _build_messages(session: Session, prompt: str, system: str) -> list[Message]:
    prompt_text = require_str(prompt, _("The prompt"))
    if not prompt_text.strip():
        raise InvalidOptionError(
            _("The prompt is empty"),
            _("Example: {example}").format(example='ask("What is a neuron?")'),
        )
    user_message: Message = {"role": "user", "content": prompt_text}
    system_text = system or session.settings.system
    return (
        [{"role": "system", "content": system_text}, user_message]
        if system_text
        else [user_message]
    )


def get_current_session() -> Session:
    """Return the session of the magics if they are loaded, otherwise that of this process."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    magics = shell and shell.magics_manager.registry.get("CfaiMagics")
    return magics.session if magics else get_process_session()


@cache
def get_process_session() -> Session:
    """Return the session of this process, for use without the magics."""
    return Session(load_settings(get_home_folder()), get_home_folder())
