"""Complete options, models, threads and variable names in `%cfai` and `%%cfai` lines."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import iscoroutinefunction
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)

from ..chat.options import ASK_OPTIONS, Option
from ..commands import COMMANDS, load_command
from ..i18n import _, ngettext
from ..magic_line import split_magic_line
from ..types.usage import CHAT_TASK

if TYPE_CHECKING:
    from ..session.session import Session
    from ..types.usage import Model

UserNamespace = Mapping[str, Any]
# A badge in JupyterLab, so not translated, like the types of IPython's own completions.
CompletionType = Literal[
    "command", "file", "folder", "function", "model", "option", "thread", "value", "variable"
]

SCHEMA_SUFFIXES = (".json",)
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")
# A magic line up to the cursor, split into the words after the magic and the word at the cursor.
MAGIC_LINE_PATTERN = re.compile(
    r"\s*(?:[\w.,\s]+=\s*)?(?P<magic>%%?)cfai\s(?P<before>(?:.*\s)?)(?P<word>\S*)"
)
VALUELESS_ACTIONS = ("store_true", "store_false")


class CompletionItem(NamedTuple):
    """Text to insert at the cursor, with its type and a description."""

    text: str
    type: CompletionType
    description: str


Completions = Iterator[CompletionItem]


class WordCompletions(NamedTuple):
    """The word at the cursor, and the completions that can replace it."""

    word: str
    items: Sequence[CompletionItem]


def complete_functions(namespace: UserNamespace, word: str) -> Completions:
    """Yield the functions that are not already in the comma-separated list `word`."""
    previous_names, comma, _last_name = word.rpartition(",")
    for name, value in namespace.items():
        if type(value) is FunctionType and not iscoroutinefunction(value):
            summary = str(value.__doc__ or _("function")).strip().partition("\n")[0]
            if name not in previous_names.split(","):
                yield CompletionItem(f"{previous_names}{comma}{name}", "function", summary)


def complete_schemas(namespace: UserNamespace, word: str) -> Completions:
    """Yield the variables and files that can contain a JSON Schema.

    The variables are dicts and pydantic models, and the files are JSON files.
    """
    for name, value in namespace.items():
        if issubclass(type(value), dict):
            yield CompletionItem(name, "variable", "dict")
        elif issubclass(type(value), type) and _is_pydantic_model(value):
            yield CompletionItem(name, "variable", _("pydantic model"))
    yield from _complete_files(word, SCHEMA_SUFFIXES)


def _is_pydantic_model(cls: type) -> bool:
    return hasattr(cls, "model_json_schema") and cls.__module__.partition(".")[0] != "pydantic"


def complete_images(namespace: UserNamespace, word: str) -> Completions:
    """Yield "last", the variables with an image, and the image files as values for --image."""
    from ..media.images import is_figure
    from ..types.messages import Answer

    for name, value in namespace.items():
        if is_figure(value.parsed if type(value) is Answer else value):
            yield CompletionItem(name, "variable", type(value).__name__)
    yield CompletionItem("last", "value", _("the last figure shown"))
    yield from _complete_files(word, IMAGE_SUFFIXES)


def complete_context(_namespace: UserNamespace, _word: str) -> Completions:
    """Yield "above" as the value for --context."""
    yield CompletionItem("above", "value", _("the cells above, up to 4,000 tokens"))


def _complete_files(word: str, suffixes: Iterable[str]) -> Completions:
    """Yield the subfolders and the files with a matching suffix in the folder given by `word`."""
    folder, slash, name_prefix = word.rpartition("/")
    try:
        entries = sorted(Path(f"{folder}{slash}" or ".").expanduser().iterdir())
    except (OSError, RuntimeError):  # RuntimeError: the user in ~name is unknown
        return
    for path in entries:
        is_folder = path.is_dir()
        if path.name.startswith(".") > name_prefix.startswith("."):
            continue
        if is_folder or path.suffix.lower() in suffixes:
            path_text = f"{folder}{slash}{path.name}{'/' * is_folder}"
            yield CompletionItem(
                f'"{path_text}"' if " " in path_text else path_text,
                "folder" if is_folder else "file",
                _("folder") if is_folder else _("file"),
            )


NAMESPACE_COMPLETERS: Mapping[str, Callable[[UserNamespace, str], Completions]] = {
    "--tools": complete_functions,
    "--schema": complete_schemas,
    "--image": complete_images,
    "--context": complete_context,
}


def complete_chat_models(session: "Session", word: str) -> Completions:
    """Yield the chat models with their prices.

    Full names are used if `word` starts with "@". Otherwise, short names are used.
    """
    for model in session.catalog().models:
        if model.task == CHAT_TASK:
            name = model.name if word.startswith("@") else model.short_name
            yield CompletionItem(name, "model", _format_price(model))


def complete_threads(session: "Session", _word: str) -> Completions:
    """Yield the threads, starting with the most recently used thread."""
    from ..storage.conversations import FILE_NAME, ConversationStore

    if not (session.home / FILE_NAME).exists():  # completion must not create a file
        return
    with ConversationStore(session.home) as store:
        for thread in store.list_threads():
            quoted_name = f'"{thread.name}"' if " " in thread.name else thread.name
            turn_count = ngettext("{count} turn", "{count} turns", thread.turns)
            yield CompletionItem(quoted_name, "thread", turn_count.format(count=thread.turns))


def _format_price(model: "Model") -> str:
    from ..display.tables import format_neurons

    rates = [rate for rate in (model.neurons_in, model.neurons_out) if rate is not None]
    price = " → ".join(map(format_neurons, rates))
    if not price:
        return _("price unknown, paid plan") if model.paid_plan_only else _("price unknown")
    message = (
        _("{price} neurons/1k, paid plan") if model.paid_plan_only else _("{price} neurons/1k")
    )
    return message.format(price=price)


# Completers for options without fixed choices. The keys are the last flags of the options.
SESSION_COMPLETERS: Mapping[str, Callable[["Session", str], Completions]] = {
    "--model": complete_chat_models,
    "model": complete_chat_models,
    "--thread": complete_threads,
    "name": complete_threads,
}


class CfaiMatcher:
    """A completion matcher for IPython that gets the session and namespace when needed.

    IPython's completions have one field besides the text, the type. A terminal shows it as a
    description. JupyterLab shows it as a badge with one letter and a color, and in a short column,
    so `has_badges` selects the constant types instead of the descriptions. JupyterLab requests the
    descriptions over the comm (`lab_comm.handle_complete`).
    """

    def __init__(
        self,
        get_session: Callable[[], "Session"],
        get_namespace: Callable[[], UserNamespace],
        *,
        has_badges: bool,
    ) -> None:
        self._get_session = get_session
        self._get_namespace = get_namespace
        self._has_badges = has_badges

    @context_matcher(identifier="cfai")
    def match(self, context: CompletionContext) -> SimpleMatcherResult:
        """Return the completions at the cursor.

        The list is empty if the line is not a cfai magic.
        """
        completions = self.complete_line(
            context.text_until_cursor, is_first_line=context.cursor_line == 0
        )
        if completions is None:
            return SimpleMatcherResult(completions=[])
        return SimpleMatcherResult(
            completions=[
                SimpleCompletion(
                    item.text, type=item.type if self._has_badges else item.description
                )
                for item in completions.items
            ],
            matched_fragment=completions.word,
            suppress=True,
            ordered=True,
        )

    def complete_line(
        self, line_until_cursor: str, *, is_first_line: bool
    ) -> WordCompletions | None:
        """Return the completions at the cursor, or None if the line is not a cfai magic.

        The line is only parsed: nothing in it is evaluated or stored.
        """
        line_match = MAGIC_LINE_PATTERN.fullmatch(line_until_cursor)
        if line_match is None or (line_match["magic"] == "%%" and not is_first_line):
            return None
        previous_words, word = split_magic_line(line_match["before"]), line_match["word"]
        flag, equals, value = word.partition("=")
        is_attached = bool(equals) and re.fullmatch(r"-\w|--[\w-]+", flag) is not None
        if is_attached:
            previous_words, word = [*previous_words, flag], value
        items = self._iter_items(
            line_match["magic"], previous_words, word, is_attached=is_attached
        )
        return WordCompletions(word, [item for item in items if item.text.startswith(word)])

    def _iter_items(
        self, magic_prefix: str, previous_words: Sequence[str], word: str, *, is_attached: bool
    ) -> Completions:
        """Yield the completions for `word`, given the words before it.

        If `is_attached` is true, an equals sign joins `word` to the preceding flag. This form is
        required for an optional value if a prompt follows on the same line.
        """
        if magic_prefix == "%" and not previous_words:
            for name, summary in COMMANDS.items():
                yield CompletionItem(name, "command", _(summary))
            return
        options = _get_options(magic_prefix, previous_words)
        pending_option = next(
            (o for o in options if previous_words and _expects_value(o, previous_words[-1])), None
        )
        is_value_optional = (
            pending_option is not None and pending_option.argparse_kwargs.get("nargs") == "?"
        )
        if pending_option and (is_attached or magic_prefix == "%%" or not is_value_optional):
            yield from self._iter_values(pending_option, word)
        if pending_option and (is_attached or not is_value_optional):
            return
        for option in options:
            if option.flags[0].startswith("-"):
                help_text = _(option.argparse_kwargs["help"])
                yield CompletionItem(_format_flag(option, word), "option", help_text)
            else:
                yield from self._iter_values(option, word)

    def _iter_values(self, option: Option, word: str) -> Completions:
        for choice in option.argparse_kwargs.get("choices", ()):
            yield CompletionItem(choice, "value", _(option.argparse_kwargs["help"]))
        flag = option.flags[-1]
        if flag in SESSION_COMPLETERS:
            yield from SESSION_COMPLETERS[flag](self._get_session(), word)
        if flag in NAMESPACE_COMPLETERS:
            yield from NAMESPACE_COMPLETERS[flag](self._get_namespace(), word)


def _get_options(magic_prefix: str, previous_words: Sequence[str]) -> Sequence[Option]:
    if magic_prefix == "%%":
        return ASK_OPTIONS
    return load_command(previous_words[0]).OPTIONS if previous_words[0] in COMMANDS else ()


def _expects_value(option: Option, word: str) -> bool:
    """Return whether the word is one of the option's flags and the option takes a value."""
    return word in option.flags and option.argparse_kwargs.get("action") not in VALUELESS_ACTIONS


def _format_flag(option: Option, word: str) -> str:
    """Return `word` if it is one of the option's flags, or the option's last flag otherwise."""
    return word if word in option.flags else option.flags[-1]
