"""Owns the answers to one question that was asked in several ways, and which of them are alike."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import add
from typing import Any, overload

from ..escaping import markdown_text
from ..markdown import without_remote_content
from . import Answer, Basis, Usage
from .frame import data_frame

UNFINISHED = {"interrupted", "cut", "budget"}
Column = tuple[str, float | None]  # a model and a temperature


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to ask: which model, at which temperature, and which time from 1 on."""

    model: str
    temperature: float | None = None
    number: int = 1

    @property
    def column(self) -> Column:
        """What those that differ only in their number share."""
        return self.model, self.temperature


def variants(
    models: Sequence[str], temperatures: Sequence[float | None], times: int
) -> list[Variant]:
    """Return every model at every temperature, so many times each."""
    numbers = range(1, times + 1)
    return [Variant(*each) for each in product(models, temperatures, numbers)]


def shown_temperature(temperature: float | None) -> str:
    """Return a temperature as people write it; where none was sent, the model has its own."""
    return "its own temperature" if temperature is None else f"temperature {temperature:g}"


def column_titles(asked: Sequence[Variant]) -> list[str]:
    """Return for each variant what tells its column from the others; "" where there is but one."""
    models = {each.model for each in asked}
    temperatures = {each.temperature for each in asked}

    def title(each: Variant) -> str:
        model = [each.model.rpartition("/")[2]] if len(models) > 1 else []
        warmth = [shown_temperature(each.temperature)] if len(temperatures) > 1 else []
        return " · ".join((*model, *warmth))

    return list(map(title, asked))


def number_titles(asked: Sequence[Variant]) -> list[str]:
    """Return for each variant which time it is; "" where each is asked once."""
    times = max(each.number for each in asked)
    return [f"{each.number} of {times}" if times > 1 else "" for each in asked]


def titles(asked: Sequence[Variant]) -> list[str]:
    """Return a name for each variant, of what tells it from all others."""
    pairs = zip(column_titles(asked), number_titles(asked), strict=True)
    return [" · ".join(filter(None, pair)) for pair in pairs]


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to one question: a sequence, in the order of the variants they were asked as.

    `errors` has a line for each that failed, and "" for the others. `seconds` is what all took
    together.
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
    def __getitem__(self, place: int) -> Answer: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Answer, ...]: ...
    def __getitem__(self, place: int | slice) -> Answer | tuple[Answer, ...]:
        return self.answers[place]

    @property
    def usage(self) -> Usage:
        """What all used together; those that failed and cost nothing say nothing of its origin."""
        used = [
            answer.usage
            for at, answer in enumerate(self.answers)
            if answer.usage.neurons or self._is_whole(at)
        ]
        return reduce(add, used, Usage())

    @property
    def neurons(self) -> float | None:
        """Neurons of all together, or None where no figure is known; `basis` says where from."""
        return self.usage.neurons

    @property
    def basis(self) -> Basis | None:
        """Origin of `neurons`: billed where all are."""
        return self.usage.basis

    @property
    def texts(self) -> tuple[str, ...]:
        """The answers' texts."""
        return tuple(answer.text for answer in self.answers)

    @property
    def alike(self) -> tuple[int, ...]:
        """For each answer the place of the first in its column that has the same text.

        Spaces around a text make no difference; an answer that is not whole is like no other.
        """
        first: dict[tuple[Column, str], int] = {}
        found = enumerate(zip(self.variants, self.texts, strict=True))
        return tuple(
            first.setdefault((variant.column, text.strip()), at) if self._is_whole(at) else at
            for at, (variant, text) in found
        )

    @property
    def distinct(self) -> dict[Column, tuple[int, int]]:
        """For each column how many distinct texts it has, and of how many whole answers."""
        found = {variant.column: (0, 0) for variant in self.variants}
        for at, (variant, like) in enumerate(zip(self.variants, self.alike, strict=True)):
            if self._is_whole(at):
                texts, came = found[variant.column]
                found[variant.column] = (texts + (like == at), came + 1)
        return found

    def _is_whole(self, place: int) -> bool:
        return not self.errors[place] and self.answers[place].finish not in UNFINISHED

    def df(self) -> Any:
        """Return a pandas DataFrame with a row an answer; SetupError where pandas is missing."""
        return data_frame(list(map(_row, self.variants, self.answers, self.errors)))

    def __str__(self) -> str:
        pairs = zip(titles(self.variants), self.texts, self.errors, strict=True)
        return "\n\n".join(f"--- {title}\n{text or error}" for title, text, error in pairs)

    def _repr_markdown_(self) -> str:
        pairs = zip(titles(self.variants), self.texts, self.errors, strict=True)
        parts = (
            f"**{markdown_text(title)}**\n\n{without_remote_content(text) or markdown_text(error)}"
            for title, text, error in pairs
        )
        return "\n\n---\n\n".join(parts)


def _row(variant: Variant, answer: Answer, error: str) -> dict[str, Any]:
    usage = answer.usage
    return {
        "model": variant.model,
        "temperature": variant.temperature,
        "number": variant.number,
        "text": answer.text,
        "tokens_in": usage.prompt_tokens,
        "tokens_out": usage.completion_tokens,
        "neurons": usage.neurons,
        "basis": usage.basis,
        "seconds": answer.seconds,
        "first_token_seconds": answer.first_token_seconds,
        "tokens_per_second": answer.tokens_per_second,
        "finish": answer.finish,
        "error": error,
    }
