"""Python API: ask, stream, embed, similarity, map, run, recording and panel.

If the magics are loaded, these functions share their session.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from .arguments import check_arguments, require_str
from .display.heatmap import HeatMap
from .display.tables import format_retry_message
from .errors import CfaiError, InvalidOptionError
from .i18n import _
from .output import write_text
from .session.call import build_target_request
from .session.session import Session
from .session.stream import AnswerStream
from .settings import get_home_folder, load_settings
from .types.messages import Answer, Message, Payload, TextDelta
from .types.provenance import output_metadata
from .types.results import Embeddings, TaskResult
from .workers_ai.retry import OnRetry

if TYPE_CHECKING:
    from .session.recording import Recording
    from .widgets.panel import Panel


class TextStream:
    """Iterator over the text deltas of one streamed answer.

    `answer` holds the text and usage received so far. Use a `with` block so that the connection
    closes immediately if a loop ends early.
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
def ask(  # noqa: PLR0913 - one argument per field, for tab completion
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
    probs: int | None = None,
) -> Answer:
    """Send a prompt and return the complete answer.

    Args:
        prompt: The prompt. Braces are sent as typed; use an f-string to insert values.
        model: Model name; the part after the last slash is enough. "" uses the `model` setting.
        system: System prompt; "" uses the `system` setting.
        max_tokens: Maximum number of tokens in the answer, at least 1. None uses the
            `max_tokens` setting (2048 by default).
        temperature: 0 (most predictable) to 5. None uses the `temperature` setting. If that is
            also None, the model's own default applies.
        top_p: Sample only from the most likely tokens that together reach this probability, 0
            to 1.
        seed: Seed for sampling. If the model supports it, the same seed gives the same answer.
        stop: One or more stop strings. The answer ends before the first one generated.
        think: Let a reasoning model think before it answers. Its reasoning uses tokens, which
            count toward `max_tokens`.
        stream: Receive the answer in pieces. If the call is interrupted, the pieces received so
            far are kept.
        extra: Additional fields for the JSON body of the request. They override the arguments,
            except the model, the messages and `stream`.
        max_neurons: Maximum cost of this call in neurons. Budgets still apply.
        gateway: Name of the AI Gateway to use, or "off" for none. "" uses the `gateway` setting.
        probs: Also return the tokens of the answer with their probabilities, in its attribute
            `tokens`, and this number of most likely tokens at each position, from 0 to 20.

    Returns:
        The answer, with its text, token counts and cost in neurons.

    Raises:
        InvalidOptionError: An argument is unknown or invalid. Nothing was sent.
        ModelNotFoundError: The model does not exist.
        BudgetExceededError: The call could exceed a budget. Nothing was sent.
        CoursePolicyError: The course's cfai.toml does not allow the call. Nothing was sent.
        BudgetCutoffError: The answer was cut off because a budget was used up.
        WorkersAIError: The request failed. `cfai_magics.errors` lists the subclasses.

        All of these are subclasses of CfaiError. Its `answer` attribute holds the part of the
        answer received before the error.
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
        probs=probs,
    )
    with session.open_stream(
        request, target, _report_retry, max_neurons=max_neurons, gateway=gateway
    ) as answer_stream:
        for _delta in answer_stream:
            pass
        return answer_stream.answer


@check_arguments
def stream(  # noqa: PLR0913 - same arguments as ask
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
    probs: int | None = None,
) -> TextStream:
    """Return an iterator over the text of a streamed answer.

    The arguments are the same as for `ask` and are checked immediately. The request is sent when
    iteration starts.

    Returns:
        An iterator over pieces of text. Its `answer` attribute holds the answer received so far.

    Raises:
        CfaiError: As for `ask`. Request errors are raised during iteration.
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
        probs=probs,
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
    """Return one embedding vector for each text, in the same order.

    Args:
        texts: A string, or a list, series, array or generator of strings. Each request contains
            at most 100 strings (Cloudflare's schema for bge-m3, read 2026-11-27).
        model: Name of an embedding model. "" uses bge-m3, whose vectors have 1,024 dimensions.
        max_neurons: Maximum total cost of all requests, in neurons.

    Returns:
        n vectors with d numbers each. `vectors` holds them as tuples of floats. `array` is a
        numpy array with dtype float64 and shape (n, d). For a single string, n is 1.

    Raises:
        InvalidOptionError: An argument is invalid, or an item in `texts` is not a str.
        CfaiError: As for `ask`.
    """
    return get_current_session().embed(
        texts, model, on_retry=_report_retry, max_neurons=max_neurons
    )


@check_arguments
def similarity(
    texts: str | Iterable[str], *, model: str = "", max_neurons: float | None = None
) -> HeatMap:
    """Embed strings and return a heat map of their pairwise similarities.

    Args:
        texts: The strings, as for `embed`.
        model: Name of an embedding model. "" uses bge-m3.
        max_neurons: Maximum total cost of all requests, in neurons.

    Returns:
        A heat map that notebooks can display. For n strings, its `matrix` has n rows of n floats:
        cosine similarities from -1 (opposite) to 1 (same direction).

    Raises:
        CfaiError: As for `embed`.
    """
    embeddings = embed(texts, model=model, max_neurons=max_neurons)
    return HeatMap(embeddings.texts, embeddings.similarities(), output_metadata(embeddings))


@check_arguments
def map(  # noqa: A001, PLR0913 - public name; one argument per field, for tab completion
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
    """Fill a prompt template from each row of `data`, send the prompts and return the answers.

    Before any prompt is sent, the total cost is estimated, printed and reserved. Identical
    prompts are sent once. Answers are cached as they arrive, so a second run sends only the
    prompts that are still unanswered.

    Args:
        template: The prompt template. {name} is replaced by the row's value in the column `name`.
        data: A pandas or polars data frame or series, a list of dicts, or a list of strings. A
            list of strings has a single column, `text`.
        model: As for `ask`.
        system: As for `ask`.
        schema: JSON Schema that each answer must match: a dict, a pydantic model or the path of
            a JSON file.
        concurrency: Number of parallel calls, from 1 to 100.
        max_neurons: Maximum total cost of all calls, in neurons.
        confirm: Ask the user for confirmation if `max_neurons` is None and the estimated cost
            exceeds the `confirm_neurons` setting (1,000 by default).
        queue: Send the prompts through Cloudflare's Batch API. The model must support it.
        fresh: Ignore cached answers and send all prompts.
        max_tokens: As for `ask`; applies to each answer.
        temperature: As for `ask`.
        top_p: As for `ask`.
        seed: As for `ask`.
        stop: As for `ask`.
        think: As for `ask`.
        stream: As for `ask`.
        extra: As for `ask`.

    Returns:
        The rows as a data frame from the same library as `data`, or as a list of dicts. Three
        columns are added. `answer` is a str, or the parsed JSON value if `schema` is set; it is
        None if the row failed. `error` is a str, or None if the row succeeded. `neurons` is a
        float64, and 0.0 for cached answers and repeated prompts.

    Raises:
        InvalidOptionError: An argument is invalid, a {name} is not a column, or the front end
            can't ask for confirmation. Nothing was sent.
        PersonalDataError: The columns that the prompts use seem to contain personal data or
            secrets. Nothing was sent. The same map raises it only once.
        BudgetExceededError: The map could exceed a budget. Nothing was sent.
        InterruptedAnswerError: The user interrupted the map. Answers received so far are cached.
        CfaiError: As for `ask`. If a single row fails, the map continues and the error is stored
            in the `error` column.
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
    """Run a native Workers AI task and return its unparsed result.

    Args:
        model: Model name; the part after the last slash is enough.
        payload: The request fields, which are sent as JSON, or the request body as bytes.
        content_type: MIME type of `payload` if it is bytes.
        files: Files by field name, in the format that httpx accepts. All fields are then sent as
            multipart/form-data, which the flux-2 models require.
        on_retry: Function called before each wait with the error, the wait time in seconds and
            the number of the next attempt. If None, the reason is printed to stderr.
        max_neurons: Maximum cost of this call, in neurons.

    Returns:
        A result with the JSON value in `result` or the bytes in `content`, and the cost in
        neurons.

    Raises:
        InvalidOptionError: An argument is invalid. Nothing was sent.
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
def recording(path: str | Path = "", *, mode: str = "") -> "Recording":
    """Return a context manager that records the requests of the OpenAI SDK and replays them.

    The file, its modes and its lookup are those of `%cfai replay`. So `%%cfai`, this function and
    the other functions of this module can share a file. They also use it inside the block. The
    SDK needs the client, base URL and key of the recording. Its calls have the session's token,
    budgets and ledger. The SDK never has the token.

    Example:
        >>> with recording("lesson.cfai.jsonl") as lesson:
        ...     client = OpenAI(
        ...         base_url=lesson.base_url, api_key=lesson.api_key, http_client=lesson.client()
        ...     )
        ...     client.chat.completions.create(model=…, messages=…)

    Use `lesson.async_client()` for `AsyncOpenAI`. Without the SDK, use
    `lesson.client().post("chat/completions", json=…)`.

    Chat completions and embeddings are recorded, also for clients with the account's own base
    URL. Requests to other hosts are sent without being recorded. A request that fails returns an
    HTTP error whose message has the cause and the next step.

    Args:
        path: The file. "" uses the file next to the notebook.
        mode: auto, only, refresh or off, as for `%cfai replay`. "" uses the mode set by
            `%cfai replay`, CFAI_REPLAY or the `recording` setting, or else auto.

    Raises:
        InvalidOptionError: The path or the mode is invalid.
        CoursePolicyError: The course's cfai.toml does not allow the mode.
        StorageError: Raised at the start of the block if the file can't be written.
    """
    from .paths import parse_user_path
    from .session.recording import Recording

    session = get_current_session()
    record_mode = session.recorder.mode_resolver.resolve_for_block(
        parse_user_path(path if isinstance(path, Path) else require_str(path, "path"))
        if path != ""
        else None,
        require_str(mode, "mode"),
    )
    return Recording(session, record_mode, _report_retry)


@check_arguments
def panel() -> "Panel":
    """Return the session's widget panel, which a notebook can display.

    Call its `close` method to free it.
    """
    from .widgets.panel import open_panel

    return open_panel(get_current_session())


def _report_retry(error: CfaiError, seconds: float, next_attempt: int) -> None:
    """Write the reason for a delayed request to stderr."""
    write_text(sys.stderr, f"{format_retry_message(error, seconds, next_attempt)}\n")


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
    """Return the magics' session if they are loaded; otherwise, the session of this process."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    magics = shell and shell.magics_manager.registry.get("CfaiMagics")
    return magics.session if magics else get_process_session()


@cache
def get_process_session() -> Session:
    """Return the session of this process, which is used when the magics are not loaded."""
    return Session(load_settings(get_home_folder()), get_home_folder())
