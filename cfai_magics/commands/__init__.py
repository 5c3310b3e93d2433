"""The commands of `%cfai` and the shell: their names and summaries, and how one is run.

Each command is the module of its name: `OPTIONS` declares its options, and `run` does it.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, cast

from ..chat.options import Option, OptionParser
from ..errors import InvalidOptionError, TokenInCommandError
from ..terminal import sanitize_text

if TYPE_CHECKING:
    from ..chat.frontend import Frontend

COMMANDS: Mapping[str, str] = {
    "ask": "ask one question",
    "login": "ask for account id and API token, verify and keep them",
    "logout": "forget account id and API token",
    "status": "show what is in use, and where each value comes from",
    "models": "list the models with their prices",
    "panel": "open the panel: account, model, settings, neurons today",
    "use": "make a model the default",
    "budget": "set a limit of neurons that stops calls, or show those that hold",
    "usage": "show what was used, by model, notebook, day or task",
    "plan": "tell what a notebook will cost a class",
    "replay": "record answers and replay them, or show what is recorded",
    "verify": "ask some recorded questions again and show what changed",
    "report": "write down which models answered in this notebook",
    "local": "answer from a small model on this machine; off ends that, serve only serves it",
    "thread": "list, show, use, fork, reset, export the conversations of -c; "
    "keep an unfinished turn",
    "map": "show where the answers of maps are kept, or clear them",
    "fix": "send a failed cell with its traceback, offer the corrected one below",
    "explain": "explain a failed cell, or what a cell does",
    "sent": "show what was sent last, with tokens and cost of each part",
    "export": "write simple-one-api's config.json for the account in use",
    "demo": "open the quickstart notebook with the small model",
    "doctor": "look whether all is well, and tell what to do",
    "help": "list the commands",
}
HELP_FLAGS = frozenset(("-h", "--help"))


class Command(Protocol):
    """The module of a command."""

    OPTIONS: Sequence[Option]

    @staticmethod
    def run(frontend: "Frontend", options: Namespace, /) -> object:
        """Do it, and return what it has to show."""


class PlainText(str):
    """What a command says: a notebook shows it as it is, not as a quoted string."""

    __slots__ = ()

    def __repr__(self) -> str:
        return sanitize_text(str(self))


def load_command(name: str) -> "Command":
    """Return the module of a command, importing it now."""
    return cast("Command", import_module(f".{name}", __name__))


def run(name: str, words: Sequence[str], frontend: "Frontend", prog: str) -> object:
    """Run a command with its words and return what it has to show."""
    name = "help" if name in HELP_FLAGS else name
    _reject_token(name, words)
    if name not in COMMANDS:
        raise InvalidOptionError(
            f"There is no command {name!r}", f"{prog} help lists the commands."
        )
    command = load_command(name)
    command_parser = OptionParser(f"{prog} {name}", command.OPTIONS, COMMANDS[name])
    if HELP_FLAGS & set(words):
        return PlainText(command_parser.format_help())
    options = command_parser.parse_args(list(words))
    _reject_swallowed_word(command, words, options, f"{prog} {name}")
    result = command.run(frontend, options)
    return PlainText(result) if isinstance(result, str) else result


def _reject_swallowed_word(
    command: Command, words: Sequence[str], options: Namespace, prog: str
) -> None:
    """Refuse a word that argparse took out of a prompt, as the value of an option.

    In `ask -c Why is the sky blue`, "Why" becomes the value of -c.
    """
    if "prompt" not in options:
        return
    for option in filter(_has_optional_value, command.OPTIONS):
        value = getattr(options, option.flags[-1].lstrip("-"))
        for word, next_word in pairwise(words):
            if value and next_word == value and _consumes_next_word(command, option, word):
                flag, value_name = option.flags[0], option.argparse_kwargs.get("metavar", "VALUE")
                raise InvalidOptionError(
                    f"{prog}: {next_word!r} after {word} could be its {value_name} or a word of "
                    "the prompt",
                    f"Write {flag}={value_name}, or put {flag} at the end of the line.",
                )


def _has_optional_value(option: Option) -> bool:
    return option.flags[0].startswith("-") and option.argparse_kwargs.get("nargs") == "?"


def _consumes_next_word(command: Command, option: Option, word: str) -> bool:
    """Whether argparse reads a word as this option: its flags, their starts, or -xc for -x -c."""
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
            "What login asks for does not belong on this line, and was not used"
        )


def _is_valid_login_line(words: Sequence[str]) -> bool:
    """Whether the words are those that login takes: an option with its value, or nothing."""
    is_option_with_value = len(words) == 2 and words[0] in ("--from", "--server")  # noqa: PLR2004
    return is_option_with_value or not set(words) - HELP_FLAGS
