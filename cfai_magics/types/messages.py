"""Types for chat: requests, stream deltas, answers and sets of answers."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import product
from operator import add
from typing import Any, overload

from ..arguments import check_value, collect_texts
from ..errors import InvalidOptionError
from ..markdown.blocks import find_first_code_block, strip_remote_content
from ..markdown.escaping import escape_markdown
from ..media.generated import GeneratedMedia
from ..terminal import sanitize_text
from .results import Provenance, output_metadata, to_data_frame
from .usage import CostBasis, DayUsage, Usage, WithUsage

Message = Mapping[str, Any]
UNFINISHED_REASONS = {"interrupted", "cut", "budget"}
ColumnKey = tuple[str, float | None]  # model and temperature
# The fields of a Request with a rule in arguments.py; `think` is None without reasoning.
OPTIONAL_FIELDS = ("max_tokens", "temperature", "top_p", "seed", "think")


@dataclass(frozen=True, slots=True)
class Request:
    """One chat request: all fields that the answer depends on.

    `Session.build_request` makes one with defaults from the settings. A field that is None is not
    sent.

    Attributes:
        model: Full name of the model in the catalog.
        messages: OpenAI messages in order.
        max_tokens: Maximum number of tokens of the answer, 1 or more.
        temperature: 0 to 5.
        top_p: 0 to 1.
        seed: Number that makes sampling repeatable, if the model supports it.
        stop: The answer ends before the first of these texts.
        think: Whether a reasoning model thinks first; None for other models.
        stream: Whether the answer is received in pieces.
        extra: Further fields of the body as JSON values, which override the other fields.
        requested_model: The model that the user named if a local model replaces it, else "".

    Raises:
        InvalidOptionError: A field has a wrong type or is out of range.
    """

    model: str
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    think: bool | None = None
    stream: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    requested_model: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "messages", check_messages(self.messages))
        object.__setattr__(self, "stop", collect_stop_sequences(self.stop))
        for name in ("model", "stream", "extra"):
            object.__setattr__(self, name, check_value(name, getattr(self, name)))
        for name in OPTIONAL_FIELDS:
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, check_value(name, value))


def require_request(value: Any) -> None:
    """Raise InvalidOptionError if the value is not a Request."""
    if not isinstance(value, Request):
        raise InvalidOptionError(
            f"request is of type {type(value).__name__}, not a Request",
            "Session.build_request makes one.",
        )


def collect_stop_sequences(stop: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return the stop sequences as a tuple, from one text or several."""
    is_empty = stop is None or (isinstance(stop, str | tuple) and not stop)
    return () if is_empty else collect_texts(stop, "stop")


def check_messages(value: Any) -> tuple[Message, ...]:
    """Return messages as a tuple; raise InvalidOptionError if they are not a list of mappings."""
    messages = tuple(value) if isinstance(value, Iterable) else (value,)
    for message in messages:
        if not isinstance(message, Mapping):
            raise InvalidOptionError(
                "messages are not a list of dicts", '[{"role": "user", "content": "…"}]'
            )
    return messages


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool; `arguments` is text from the model, which may be invalid JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool call that was run, with the result that was sent to the model.

    `truncation` says how much of the result was sent, "" if it is complete.
    """

    name: str
    arguments: str
    result: str
    truncation: str = ""
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class FinishDelta:
    """The finish reason: stop, length, tool_calls, content_filter, error or unknown."""

    reason: str


Delta = TextDelta | ReasoningDelta | ToolCall | Usage | FinishDelta


@dataclass(frozen=True, slots=True)
class Answer(WithUsage):
    """One answer, complete or partial.

    str() and f-strings give its text, and notebooks display it as Markdown.

    Attributes:
        model: Full name of the model that answered.
        text: The answer's text.
        reasoning: What a reasoning model wrote before the text.
        tool_calls: The tool calls that the model asks for.
        tool_results: The tool calls that were run, with their results.
        finish_reason: stop, length, tool_calls, content_filter, error or unknown; or interrupted,
            cut or budget for a partial answer.
        usage: Tokens and neurons; `neurons` and `cost_basis` are its fields too.
        seconds: Time from sending the request to the end, in seconds.
        first_token_seconds: Time to the first token, in seconds; None if no token was received.
        request_id: Cloudflare's id of the request, if it sent one.
        is_local: Whether a local model answered.
        endpoint: The AI Gateway with its cache status, or the other server; "" is Workers AI.
        notes: Lines about the call for the user.
        day_usage: Usage of the account on this day, after the call; None if unknown.
        provenance: The request's hash, and the recording if the answer is replayed.
        raw: The JSON reply if the call was not streamed.
        parsed: The text parsed by its output format: a JSON value, a DataFrame or code. For a
            native task it is the output: an image, audio, a list or vectors.
        work_summary: The amount of work of a native task, in its unit.
    """

    model: str
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_results: tuple[ToolResult, ...] = ()
    finish_reason: str = "unknown"
    usage: Usage = field(default=Usage())
    seconds: float = 0.0
    first_token_seconds: float | None = None
    request_id: str | None = None
    is_local: bool = False
    endpoint: str = ""
    notes: tuple[str, ...] = ()
    day_usage: DayUsage | None = None
    provenance: Provenance = field(default=Provenance(), repr=False)
    raw: Any = field(default=None, repr=False)
    parsed: Any = field(default=None, repr=False, compare=False)
    work_summary: str = ""

    @property
    def tokens_per_second(self) -> float | None:
        """Completion tokens per second after the first token; None without streaming."""
        if self.first_token_seconds is None or self.raw is not None:
            return None
        generation_seconds = self.seconds - self.first_token_seconds
        return (
            self.usage.completion_tokens / generation_seconds if generation_seconds > 0 else None
        )

    def json(self) -> Any:
        """Return the JSON value of the text, or of its first code block.

        Raises ValueError if neither is JSON.
        """
        try:
            return json.loads(self.text)
        except ValueError:
            if self.code is None:
                raise
        return json.loads(self.code)

    @property
    def code(self) -> str | None:
        """The first code block of the text; None if there is none."""
        code_block = find_first_code_block(self.text)
        return code_block.text if code_block else None

    def __str__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle: dict[str, Any] = {
            "text/markdown": strip_remote_content(self.text),
            "text/plain": sanitize_text(self.text),
        }
        if isinstance(self.parsed, GeneratedMedia):
            bundle = self.parsed._repr_mimebundle_()
        return bundle, output_metadata(self)


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant of a question: its model, its temperature, and its repetition from 1."""

    model: str
    temperature: float | None = None
    repetition: int = 1

    @property
    def column(self) -> ColumnKey:
        """The key of its column: variants that differ only in `repetition` share it."""
        return self.model, self.temperature


def make_variants(
    models: Sequence[str], temperatures: Sequence[float | None], repetitions: int
) -> list[Variant]:
    """Return a variant for each combination of model, temperature and repetition."""
    repetition_numbers = range(1, repetitions + 1)
    return [
        Variant(*combination) for combination in product(models, temperatures, repetition_numbers)
    ]


def format_temperature(temperature: float | None) -> str:
    """Return a temperature as text; None is the default of the model."""
    return "its own temperature" if temperature is None else f"temperature {temperature:g}"


def column_titles(variants: Sequence[Variant]) -> list[str]:
    """Return for each variant the title of its column; "" if there is only one column."""
    models = {variant.model for variant in variants}
    temperatures = {variant.temperature for variant in variants}

    def format_title(variant: Variant) -> str:
        model_parts = [variant.model.rpartition("/")[2]] if len(models) > 1 else []
        temperature_parts = (
            [format_temperature(variant.temperature)] if len(temperatures) > 1 else []
        )
        return " · ".join((*model_parts, *temperature_parts))

    return list(map(format_title, variants))


def repetition_titles(variants: Sequence[Variant]) -> list[str]:
    """Return for each variant its repetition, such as "1 of 3"; "" if nothing is repeated."""
    repetitions = max(variant.repetition for variant in variants)
    return [
        f"{variant.repetition} of {repetitions}" if repetitions > 1 else "" for variant in variants
    ]


def variant_titles(variants: Sequence[Variant]) -> list[str]:
    """Return a unique title for each variant: model, temperature and repetition if they differ."""
    pairs = zip(column_titles(variants), repetition_titles(variants), strict=True)
    return [" · ".join(filter(None, pair)) for pair in pairs]


@dataclass(frozen=True, slots=True)
class AnswerSet:
    """The answers to all variants of one question: a sequence, in the order of the variants.

    Attributes:
        variants: Model, temperature and repetition of each answer.
        answers: The answers, complete or partial.
        errors: A line for each answer that failed, and "" for the others.
        seconds: Elapsed time of all calls together, in seconds.
    """

    variants: tuple[Variant, ...]
    answers: tuple[Answer, ...]
    errors: tuple[str, ...]
    seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.answers)

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    @overload
    def __getitem__(self, index: int) -> Answer: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Answer, ...]: ...
    def __getitem__(self, index: int | slice) -> Answer | tuple[Answer, ...]:
        return self.answers[index]

    @property
    def usage(self) -> Usage:
        """The total usage; failed answers without cost do not affect the cost basis."""
        usages = [
            answer.usage
            for index, answer in enumerate(self.answers)
            if answer.usage.neurons or self._is_complete(index)
        ]
        return reduce(add, usages, Usage())

    @property
    def neurons(self) -> float | None:
        """Total neurons; None if unknown. `cost_basis` says where the number is from."""
        return self.usage.neurons

    @property
    def cost_basis(self) -> CostBasis | None:
        """Source of `neurons`: billed, estimated (if any are) or replayed (if all are)."""
        return self.usage.cost_basis

    @property
    def texts(self) -> tuple[str, ...]:
        """The answers' texts."""
        return tuple(answer.text for answer in self.answers)

    @property
    def duplicates(self) -> tuple[int, ...]:
        """For each answer, the index of the first answer in its column with the same text.

        Leading and trailing spaces are ignored. A partial answer equals only itself.
        """
        first_index: dict[tuple[ColumnKey, str], int] = {}
        numbered_texts = enumerate(zip(self.variants, self.texts, strict=True))
        return tuple(
            first_index.setdefault((variant.column, text.strip()), index)
            if self._is_complete(index)
            else index
            for index, (variant, text) in numbered_texts
        )

    @property
    def distinct_counts(self) -> dict[ColumnKey, tuple[int, int]]:
        """For each column, the number of distinct texts and the number of complete answers."""
        counts = {variant.column: (0, 0) for variant in self.variants}
        for index, (variant, first_index) in enumerate(
            zip(self.variants, self.duplicates, strict=True)
        ):
            if self._is_complete(index):
                distinct_count, complete_count = counts[variant.column]
                counts[variant.column] = (
                    distinct_count + (first_index == index),
                    complete_count + 1,
                )
        return counts

    def _is_complete(self, index: int) -> bool:
        return (
            not self.errors[index] and self.answers[index].finish_reason not in UNFINISHED_REASONS
        )

    def df(self) -> Any:
        """Return a pandas DataFrame with one row per answer.

        Its columns are model, temperature, number (the repetition, from 1), text, tokens_in,
        tokens_out, neurons, basis, seconds, first_token_seconds, tokens_per_second, finish and
        error. A figure that is unknown is None or NaN. Raises SetupError if pandas is missing.
        """
        return to_data_frame(list(map(_variant_row, self.variants, self.answers, self.errors)))

    def __str__(self) -> str:
        pairs = zip(variant_titles(self.variants), self.texts, self.errors, strict=True)
        return "\n\n".join(f"--- {title}\n{text or error}" for title, text, error in pairs)

    def _repr_markdown_(self) -> str:
        pairs = zip(variant_titles(self.variants), self.texts, self.errors, strict=True)
        parts = (
            f"**{escape_markdown(title)}**\n\n"
            f"{strip_remote_content(text) or escape_markdown(error)}"
            for title, text, error in pairs
        )
        return "\n\n---\n\n".join(parts)


def _variant_row(variant: Variant, answer: Answer, error: str) -> dict[str, Any]:
    usage = answer.usage
    return {
        "model": variant.model,
        "temperature": variant.temperature,
        "number": variant.repetition,
        "text": answer.text,
        "tokens_in": usage.prompt_tokens,
        "tokens_out": usage.completion_tokens,
        "neurons": usage.neurons,
        "basis": usage.cost_basis,
        "seconds": answer.seconds,
        "first_token_seconds": answer.first_token_seconds,
        "tokens_per_second": answer.tokens_per_second,
        "finish": answer.finish_reason,
        "error": error,
    }
