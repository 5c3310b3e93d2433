"""Types for several answers to one question: variants and their answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from ..i18n import _
from .messages import UNFINISHED_REASONS, Answer
from .usage import CostBasis, Usage

ColumnKey = tuple[str, float | None]  # model and temperature


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant of a question: its model, temperature and repetition number (from 1)."""

    model: str
    temperature: float | None = None
    repetition: int = 1

    @property
    def column(self) -> ColumnKey:
        """The key of the column; variants that differ only in `repetition` share a column."""
        return self.model, self.temperature


def make_variants(
    models: Sequence[str], temperatures: Sequence[float | None], repetitions: int
) -> list[Variant]:
    """Return a variant for each combination of model, temperature and repetition."""
    from itertools import product

    repetition_numbers = range(1, repetitions + 1)
    return [
        Variant(*combination) for combination in product(models, temperatures, repetition_numbers)
    ]


def format_temperature(temperature: float | None) -> str:
    """Return a temperature as text; None means the model's default."""
    if temperature is None:
        return _("default temperature")
    return _("temperature {value:g}").format(value=temperature)


def column_titles(variants: Sequence[Variant]) -> list[str]:
    """Return the column title for each variant; "" if there is only one column."""
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
    """Return a title such as "1 of 3" for each variant; "" if nothing is repeated."""
    repetitions = max(variant.repetition for variant in variants)
    if repetitions == 1:
        return [""] * len(variants)
    return [
        _("{number} of {total}").format(number=variant.repetition, total=repetitions)
        for variant in variants
    ]


def variant_titles(variants: Sequence[Variant]) -> list[str]:
    """Return a unique title for each variant, made of the parts that differ between variants."""
    pairs = zip(column_titles(variants), repetition_titles(variants), strict=True)
    return [" · ".join(filter(None, pair)) for pair in pairs]


@dataclass(frozen=True, slots=True)
class AnswerSet:
    """A sequence of the answers to all variants of one question, in the order of the variants.

    Attributes:
        variants: Model, temperature and repetition of each answer.
        answers: The answers, complete or partial.
        errors: One line for each answer: the error if it failed, or "".
        seconds: Elapsed time until all calls had ended, in seconds.
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
        """The total usage; failed answers that cost nothing do not affect the cost basis."""
        from functools import reduce
        from operator import add

        usages = [
            answer.usage
            for index, answer in enumerate(self.answers)
            if answer.usage.neurons or self._is_complete(index)
        ]
        return reduce(add, usages, Usage())

    @property
    def neurons(self) -> float | None:
        """The total neurons; None if unknown. `cost_basis` says where the number comes from."""
        return self.usage.neurons

    @property
    def cost_basis(self) -> CostBasis | None:
        """The source of `neurons`: billed, estimated, replayed or local; None if unknown.

        It is estimated if any answer is estimated, and replayed if all answers are replayed.
        """
        return self.usage.cost_basis

    @property
    def texts(self) -> tuple[str, ...]:
        """The text of each answer."""
        return tuple(answer.text for answer in self.answers)

    @property
    def duplicates(self) -> tuple[int, ...]:
        """For each answer, the index of the first answer in its column with the same text.

        Leading and trailing whitespace is ignored. A partial answer always gets its own index.
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
        error. Unknown numeric values are None or NaN.

        Raises:
            SetupError: pandas is not installed.
        """
        from .results import to_data_frame

        return to_data_frame(list(map(_variant_row, self.variants, self.answers, self.errors)))

    def __str__(self) -> str:
        pairs = zip(variant_titles(self.variants), self.texts, self.errors, strict=True)
        return "\n\n".join(f"--- {title}\n{text or error}" for title, text, error in pairs)

    def _repr_markdown_(self) -> str:
        from ..markdown.blocks import strip_remote_content
        from ..markdown.escaping import escape_markdown

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
