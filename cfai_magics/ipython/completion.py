"""Owns what Tab offers after `%%cfai` and `%cfai`: flags, their values, models and commands."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)

from ..asking.options import ASK_OPTIONS, Option
from ..commands import COMMANDS
from ..words import split_words
from .names import BY_FLAG, Names

if TYPE_CHECKING:
    from ..session import Session
    from ..values import Model

# A line of ours up to the cursor: what is behind the magic, and of that the word being typed.
LINE = re.compile(r"\s*(?:[\w.,\s]+=\s*)?(?P<magic>%%?)cfai\s(?P<before>(?:.*\s)?)(?P<word>\S*)")
CHAT = "Text Generation"
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
TAKES_NO_VALUE = ("store_true", "store_false")


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing to put where the cursor is, with what a front end shows beside it."""

    text: str
    detail: str = ""


def chat_models(session: "Session", word: str) -> Iterator[Offer]:
    """Return the models that chat with their prices, by their full names after an @."""
    for model in session.catalogue().models:
        if model.task == CHAT:
            yield Offer(model.name if word.startswith("@") else model.short, _price(model))


def threads(session: "Session", _word: str) -> Iterator[Offer]:
    """Return the threads, the last used first."""
    from ..store.threads import FILE_NAME, Threads

    if not (session.home / FILE_NAME).exists():  # Tab makes no files
        return
    with Threads(session.home) as kept:
        for thread in kept.all():
            name = f'"{thread.name}"' if " " in thread.name else thread.name
            yield Offer(name, f"{thread.turns} turn{'s' * (thread.turns != 1)}")


def _price(model: "Model") -> str:
    from ..render.formats import neurons

    rates = [rate for rate in (model.neurons_in, model.neurons_out) if rate is not None]
    price = " → ".join(map(neurons, rates))
    plan = ", paid plan" if model.paid_plan_only else ""
    return f"{price} neurons/1k{plan}" if price else f"price unknown{plan}"


# Where the values of an option come from that has no fixed choices, by the last of its flags.
VALUES: Mapping[str, Callable[["Session", str], Iterable[Offer]]] = {
    "--model": chat_models,
    "model": chat_models,
    "--thread": threads,
    "name": threads,
}


class Completion:
    """The matcher that IPython asks; it gets session and names when it first needs them."""

    def __init__(self, session: Callable[[], "Session"], names: Callable[[], Names]) -> None:
        self._session = session
        self._names = names

    @context_matcher(identifier="cfai")
    def match(self, context: CompletionContext) -> SimpleMatcherResult:
        """Return what fits at the cursor; nothing where the line is none of ours."""
        line = LINE.fullmatch(context.text_until_cursor)
        if line is None or (line["magic"] == "%%" and context.cursor_line > 0):
            return SimpleMatcherResult(completions=[])
        before, word = split_words(line["before"]), line["word"]
        flag, equals, value = word.partition("=")
        attached = bool(equals) and re.fullmatch(r"-\w|--[\w-]+", flag) is not None
        if attached:
            before, word = [*before, flag], value
        offers = self._offers(line["magic"], before, word, attached=attached)
        return SimpleMatcherResult(
            completions=[_shown(offer) for offer in offers if offer.text.startswith(word)],
            matched_fragment=word,
            suppress=True,
            ordered=True,
        )

    def _offers(
        self, magic: str, before: Sequence[str], word: str, *, attached: bool
    ) -> Iterator[Offer]:
        """Return what may stand where `word` is being typed, after the words before it.

        It is `attached` to the last of them by an equals sign. Beside a prompt on the same line,
        that is the only way to give an option its optional value.
        """
        if magic == "%" and not before:
            for name, command in COMMANDS.items():
                yield Offer(name, command.summary)
            return
        options = _options(magic, before)
        asked = next((o for o in options if before and _waits(o, before[-1])), None)
        optional = asked is not None and asked.keywords.get("nargs") == "?"
        if asked and (attached or magic == "%%" or not optional):
            yield from self._values(asked, word)
        if asked and (attached or not optional):
            return
        for option in options:
            if option.flags[0].startswith("-"):
                yield Offer(_flag(option, word), option.keywords["help"])
            else:
                yield from self._values(option, word)

    def _values(self, option: Option, word: str) -> Iterator[Offer]:
        for choice in option.keywords.get("choices", ()):
            yield Offer(choice, option.keywords["help"])
        flag = option.flags[-1]
        if flag in VALUES:
            yield from VALUES[flag](self._session(), word)
        if flag in BY_FLAG:
            yield from starmap(Offer, BY_FLAG[flag](self._names(), word))


def _shown(offer: Offer) -> SimpleCompletion:
    """Return the offer as IPython wants it; at plain spaces JupyterLab would break its line."""
    return SimpleCompletion(offer.text, type=offer.detail.replace(" ", NO_BREAK_SPACE))


def _options(magic: str, before: Sequence[str]) -> Sequence[Option]:
    if magic == "%%":
        return ASK_OPTIONS
    return COMMANDS[before[0]].options if before[0] in COMMANDS else ()


def _waits(option: Option, word: str) -> bool:
    """Whether the word is a flag of the option, and its value comes next."""
    return word in option.flags and option.keywords.get("action") not in TAKES_NO_VALUE


def _flag(option: Option, word: str) -> str:
    """Return the flag as it is being typed: its letter after one dash, else its long form."""
    return word if word in option.flags else option.flags[-1]
