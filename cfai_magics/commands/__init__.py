"""Declare and run the commands of `%cfai` and the `cfai` shell command.

Each command is implemented by the module with the same name (`class` by `class_`). The module
declares the command's options in `OPTIONS` and runs the command in `run`.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, cast

from ..chat.options import Option, OptionParser
from ..errors import InvalidOptionError, TokenInCommandError
from ..i18n import _, mark
from ..magic_line import Word, to_words
from ..terminal import sanitize_text

if TYPE_CHECKING:
    from ..chat.frontend import Frontend

COMMANDS: Mapping[str, str] = {
    "ask": mark("send one prompt and show the answer"),
    "login": mark("enter, verify and save the account ID and API token, or the key of a server"),
    "logout": mark("delete the saved account ID, API token and keys"),
    "status": mark("show the settings in use and where each value comes from"),
    "models": mark("list the models and their prices"),
    "panel": mark("open the panel: account, model, settings and neurons used today"),
    "use": mark("set the default model"),
    "budget": mark("show or set budgets in neurons; a call that exceeds one is not sent"),
    "usage": mark("show usage by model, notebook, day or task"),
    "plan": mark("estimate the cost of a notebook for a class"),
    "class": mark("share one account among students: keys, shares and usage (for teachers)"),
    "replay": mark("record and replay answers, or show the recording"),
    "verify": mark("repeat some recorded prompts and show what changed"),
    "report": mark("report AI use in this notebook"),
    "local": mark("use a small model on this machine (off: stop; serve: for other programs)"),
    "thread": mark(
        "list, show, use, fork, reset or export conversations (-c), or keep an unfinished turn"
    ),
    "map": mark("show where map answers are cached, or delete them"),
    "fix": mark("correct a failed cell in a new cell below it"),
    "explain": mark("explain a failed cell, or what a cell does"),
    "sent": mark("show the last prompt with the tokens and cost of each part"),
    "export": mark("write a config.json for simple-one-api with your account"),
    "demo": mark("open the quickstart notebook with a small local model"),
    "lite": mark("build a site in which lessons run in the browser, or serve it locally"),
    "doctor": mark("check the setup and suggest fixes"),
    "help": mark("list the commands, with examples"),
}
HELP_FLAGS = frozenset(("-h", "--help"))
SEPARATOR = "--"  # all later words are part of the prompt


class Command(Protocol):
    """A module that implements a command."""

    OPTIONS: Sequence[Option]

    @staticmethod
    def run(frontend: "Frontend", options: Namespace, /) -> object:
        """Run the command and return the result to display."""


class PlainText(str):
    """A command result that a notebook shows as text without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return sanitize_text(str(self))


def load_command(name: str) -> "Command":
    """Import the module that implements a command, and return it."""
    # `class` is a keyword of Python, so no module has this name.
    module_name = "class_" if name == "class" else name
    return cast("Command", import_module(f".{module_name}", __name__))


def run(name: str, words: Sequence[str], frontend: "Frontend", prog: str) -> object:
    """Run a command and return the result to display.

    Args:
        name: The name of the command.
        words: The words that follow the name on the line.
        frontend: The front end in which the user typed the command.
        prog: The text before the name: "%cfai" or "cfai".

    Raises:
        InvalidOptionError: The command or an option is not valid.
        TokenInCommandError: The line contains an API token.
    """
    name = "help" if name in HELP_FLAGS else name
    _reject_token(name, words)
    if name not in COMMANDS:
        raise _unknown_command_error(name, prog)
    command = load_command(name)
    command_parser = OptionParser(f"{prog} {name}", command.OPTIONS, COMMANDS[name])
    typed_words = to_words(words)
    if _requests_help(command_parser, typed_words):
        return PlainText(command_parser.format_help())
    options = _parse(command, command_parser, list[str](typed_words))
    _reject_swallowed_word(command, typed_words, options, f"{prog} {name}")
    if "prompt" in options:
        options.prompt = _restore_separators(typed_words, options.prompt)
    result = command.run(frontend, options)
    return PlainText(result) if isinstance(result, str) else result


def _parse(command: Command, command_parser: OptionParser, words: Sequence[str]) -> Namespace:
    """Parse the words. A list of words, except a prompt, may continue after an option."""
    has_list = any(
        option.argparse_kwargs.get("nargs") == "*" and option.flags != ("prompt",)
        for option in command.OPTIONS
    )
    return (
        command_parser.parse_intermixed_args(words)
        if has_list
        else command_parser.parse_args(words)
    )


def _unknown_command_error(name: str, prog: str) -> InvalidOptionError:
    from ..arguments import find_closest, format_suggestions

    closest = [f"{prog} {command}" for command in find_closest(name, COMMANDS)]
    hint = _("{command} help lists the commands.").format(command=prog)
    return InvalidOptionError(
        _("Unknown command {name!r}").format(name=name),
        f"{format_suggestions(closest)} {hint}".lstrip(),
    )


def _requests_help(command_parser: OptionParser, words: Sequence[Word]) -> bool:
    """Return whether the words include -h or --help as an option.

    Raises:
        InvalidOptionError: The flag follows words of a prompt, so it may be part of the prompt.
    """
    for index, word in enumerate(words):
        if word.source == SEPARATOR:
            return False
        if word.source in HELP_FLAGS:
            if _has_prompt(command_parser, words[:index]):
                raise InvalidOptionError(
                    _("{command}: {flag} could be an option or part of the prompt").format(
                        command=command_parser.prog, flag=word
                    ),
                    _("Use only {command} {flag}, or put -- before the prompt.").format(
                        command=command_parser.prog, flag=word
                    ),
                )
            return True
    return False


def _has_prompt(command_parser: OptionParser, words: Sequence[Word]) -> bool:
    try:
        return bool(getattr(command_parser.parse_args(list[str](words)), "prompt", None))
    except InvalidOptionError:
        return False


def _restore_separators(words: Sequence[Word], prompt: Sequence[Word]) -> Sequence[Word]:
    """Return the words of a prompt with each `--`, except for one before the prompt.

    argparse removes the first `--`.
    """
    if not prompt:
        return prompt
    positions = [index for index, word in enumerate(words) if any(word is one for one in prompt)]
    end = positions[-1] + 1
    end += words[end:] == [SEPARATOR]
    return words[positions[0] : end]


def _reject_swallowed_word(
    command: Command, words: Sequence[str], options: Namespace, prog: str
) -> None:
    """Raise an error if argparse took a word of the prompt as the value of an option.

    For example, in `ask -c Why is the sky blue`, "Why" becomes the value of -c.
    """
    if "prompt" not in options:
        return
    for option in filter(_has_optional_value, command.OPTIONS):
        value = getattr(options, option.flags[-1].lstrip("-"))
        for word, next_word in pairwise(words):
            if value and next_word == value and _consumes_next_word(command, option, word):
                flag, value_name = option.flags[0], option.argparse_kwargs.get("metavar", "VALUE")
                raise InvalidOptionError(
                    _(
                        "{command}: {word!r} after {flag} could be its {value} or part of the "
                        "prompt"
                    ).format(command=prog, word=next_word, flag=word, value=value_name),
                    _("Use {flag}={value}, or put {flag} at the end of the line.").format(
                        flag=flag, value=value_name
                    ),
                )


def _has_optional_value(option: Option) -> bool:
    return option.flags[0].startswith("-") and option.argparse_kwargs.get("nargs") == "?"


def _consumes_next_word(command: Command, option: Option, word: str) -> bool:
    """Return whether argparse reads the word after this one as the option's value.

    This is the case if the word is one of the option's flags, the start of a long flag, or a
    group of short flags that ends with the option, such as -xc for -x -c.
    """
    flags = [flag for one in command.OPTIONS for flag in one.flags]
    if word.startswith("--"):
        return {flag for flag in flags if flag.startswith(word)} <= set(option.flags)
    short, *_ = option.flags
    switches = [
        one for one in command.OPTIONS if one.argparse_kwargs.get("action") == "store_true"
    ]
    letters = {flag[1:] for one in switches for flag in one.flags if len(flag) == len(short)}
    return word.startswith("-") and word.endswith(short[1:]) and set(word[1:-1]) <= letters


def _reject_token(name: str, words: Sequence[str]) -> None:
    from ..redaction import reject_token

    reject_token(" ".join((name, *words)))
    if name == "login" and not _is_valid_login_line(words):
        raise TokenInCommandError(
            _(
                "%cfai login prompts for the account ID and API token; the text on this line was "
                "ignored"
            )
        )


LOGIN_OPTIONS = ("--from", "--server", "--class")


def _is_valid_login_line(words: Sequence[str]) -> bool:
    """Return whether the words after `login` are valid.

    The user may type one option with its value, only help flags, or nothing.
    """
    is_option_with_value = len(words) == 2 and words[0] in LOGIN_OPTIONS  # noqa: PLR2004
    return is_option_with_value or not set(words) - HELP_FLAGS
