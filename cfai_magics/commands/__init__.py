"""Owns the table of commands and their options, for the magics and for the shell."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn

from ..asking.options import ASK_OPTIONS, Option, option
from ..errors import BadOption, TokenOnLine
from ..settings import MODES
from ..terminal import safe_text

if TYPE_CHECKING:
    from ..asking.door import Door


@dataclass(frozen=True, slots=True)
class Command:
    """One command: where its function lives, one line about it, its options."""

    target: str
    summary: str
    options: tuple[Option, ...] = field(default=())


FAILED = (
    option("number", nargs="?", type=int, help="its number: 3 is In[3]; the last that failed"),
    option("-m", "--model", default="", metavar="NAME", help="model; the end of its name will do"),
)
FROM_HELP = "take both from simple-one-api's config.json instead of asking"
SERVER_HELP = "use another OpenAI-compatible server, and ask for its key; off ends that"

COMMANDS: Mapping[str, Command] = {
    "ask": Command(
        "ask:ask",
        "ask one question",
        (option("prompt", nargs="*", help="the question; - stands for piped text"), *ASK_OPTIONS),
    ),
    "login": Command(
        "account:login",
        "ask for account id and API token, verify and keep them",
        (
            option("--from", dest="file", default="", metavar="FILE", help=FROM_HELP),
            option("--server", default="", metavar="ADDRESS", help=SERVER_HELP),
        ),
    ),
    "logout": Command("account:logout", "forget account id and API token"),
    "status": Command("status:status", "show what is in use, and where each value comes from"),
    "models": Command(
        "models:models",
        "list the models with their prices",
        (
            option("words", nargs="*", help="only with these words; also free, vision, tools"),
            option(
                "--refresh", action="store_true", help="ask Cloudflare even if the list is new"
            ),
        ),
    ),
    "panel": Command("panel:panel", "open the panel: account, model, settings, neurons today"),
    "use": Command(
        "models:use",
        "make a model the default",
        (
            option("model", help="its name, or the end of it"),
            option("--keep", action="store_true", help="also for later kernels"),
        ),
    ),
    "budget": Command(
        "budget:budget",
        "set a limit of neurons that stops calls, or show those that hold",
        (
            option("amount", nargs="?", help="neurons; off; or reopen, after a change of plan"),
            option("--session", action="store_true", help="for this kernel, until it ends"),
            option("--notebook", action="store_true", help="for this notebook, each day"),
        ),
    ),
    "usage": Command(
        "usage:usage",
        "show what was used, by model, notebook, day or task",
        (
            option(
                "period",
                nargs="?",
                default="today",
                choices=("today", "7d", "30d", "all"),
                help="today, 7d, 30d or all",
            ),
            option("--by", choices=("model", "notebook", "day", "task"), help="what to sum by"),
            option("--account", action="store_true", help="Cloudflare's own figures for today"),
            option("--csv", action="store_true", help="every call as a line of CSV"),
        ),
    ),
    "plan": Command(
        "plan:plan",
        "tell what a notebook will cost a class",
        (
            option("path", nargs="?", default="", help="the notebook; this one where it is known"),
            option("--students", type=int, default=1, metavar="N", help="who run all of it once"),
        ),
    ),
    "replay": Command(
        "replay:replay",
        "record answers and replay them, or show what is recorded",
        (
            option(
                "mode",
                nargs="?",
                choices=MODES,
                help="auto, only, refresh or off",
            ),
            option("path", nargs="?", default="", help="the file; else beside the notebook"),
            option("--instant", action="store_true", help="replay at once, not in its rhythm"),
        ),
    ),
    "verify": Command(
        "verify:verify",
        "ask some recorded questions again and show what changed",
        (
            option("path", nargs="?", default="", help="the recording; the one in use"),
            option("-n", "--number", type=int, default=5, metavar="N", help="how many (5)"),
        ),
    ),
    "report": Command(
        "report:report",
        "write down which models answered in this notebook",
        (
            option("path", nargs="?", default="", help="the notebook; this one where it is known"),
            option("--csv", action="store_true", help="every call as a line of CSV"),
            option("--save", action="store_true", help="into files beside the notebook, as both"),
        ),
    ),
    "local": Command(
        "local:local",
        "answer from a small model on this machine; off ends that, serve only serves it",
        (
            option("what", nargs="?", default="small", help="off, serve, or a GGUF file's path"),
            option("path", nargs="?", default="", help="with serve: a GGUF file's path"),
            option("--port", type=int, default=0, help="with serve: the port"),
        ),
    ),
    "thread": Command(
        "threads:thread",
        "list, show, use, fork, reset, export the conversations of -c; keep an unfinished turn",
        (
            option(
                "what",
                nargs="?",
                default="list",
                choices=("list", "show", "use", "fork", "reset", "export", "keep"),
                help="list if nothing is said; all others go for the thread in use",
            ),
            option("name", nargs="?", default="", help="another thread; with fork, the new one"),
            option("--at", type=int, metavar="N", help="with fork: up to turn N"),
            option("--to", default="", metavar="FILE", help="with export: a .md or .json file"),
        ),
    ),
    "map": Command(
        "map:map_",
        "show where the answers of maps are kept, or clear them",
        (option("what", nargs="?", default="show", choices=("show", "clear"), help="or clear"),),
    ),
    "fix": Command(
        "fix:fix", "send a failed cell with its traceback, offer the corrected one below", FAILED
    ),
    "explain": Command("fix:explain", "explain a failed cell, or what a cell does", FAILED),
    "sent": Command("sent:sent", "show what was sent last, with tokens and cost of each part"),
    "export": Command(
        "export:export",
        "write simple-one-api's config.json for the account in use",
        (
            option("what", choices=("simple-one-api",), help="the program it is for"),
            option("path", nargs="?", default="", help="the file; else one in our own folder"),
            option(
                "--anyway", action="store_true", help="also beside notebooks: it holds a token"
            ),
        ),
    ),
    "demo": Command("demo:demo", "open the quickstart notebook with the small model"),
    "doctor": Command(
        "doctor:doctor",
        "look whether all is well, and tell what to do",
        (option("path", nargs="?", default="", help="a notebook to look into for secrets"),),
    ),
    "help": Command("help:help_", "list the commands"),
}


HELP = frozenset(("-h", "--help"))


class Lines(str):
    """What a command says: a notebook shows it as it is, not as a quoted string."""

    __slots__ = ()

    def __repr__(self) -> str:
        return safe_text(str(self))


class _Parser(ArgumentParser):
    """Argparse that raises our one-line error instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        raise BadOption(f"{self.prog}: {message}", f"{self.prog} -h shows what it takes.")


def parser(name: str, prog: str) -> ArgumentParser:
    """Return the parser of one command, called `prog` in its help."""
    command = COMMANDS[name]
    made = _Parser(prog=f"{prog} {name}", description=command.summary, add_help=False)
    for each in command.options:
        made.add_argument(*each.flags, **each.keywords)
    return made


def ask_parser() -> ArgumentParser:
    """Return the parser of a cell's line: the options of asking, without a prompt."""
    made = _Parser(prog="%%cfai", add_help=False)
    for each in ASK_OPTIONS:
        made.add_argument(*each.flags, **each.keywords)
    return made


def run(name: str, words: Sequence[str], door: "Door", prog: str) -> object:
    """Run a command with its words and return what it has to show."""
    name = "help" if name in HELP else name
    _refuse_token(name, words)
    if name not in COMMANDS:
        raise BadOption(f"There is no command {name!r}", f"{prog} help lists the commands.")
    made = parser(name, prog)
    if HELP & set(words):
        return Lines(made.format_help())
    options = made.parse_args(list(words))
    _refuse_swallowing(COMMANDS[name], words, options, f"{prog} {name}")
    said = function(name)(door, options)
    return Lines(said) if isinstance(said, str) else said


def _refuse_swallowing(
    command: Command, words: Sequence[str], options: Namespace, prog: str
) -> None:
    """Refuse a word that argparse took out of a prompt, as the value of an option.

    In `ask -c Why is the sky blue`, "Why" becomes the value of -c.
    """
    if "prompt" not in options:
        return
    for each in filter(_has_optional_value, command.options):
        value = getattr(options, each.flags[-1].lstrip("-"))
        for word, following in pairwise(words):
            if value and following == value and _takes_next(command, each, word):
                flag, value_name = each.flags[0], each.keywords.get("metavar", "VALUE")
                raise BadOption(
                    f"{prog}: {following!r} after {word} could be its {value_name} or a word of "
                    "the prompt",
                    f"Write {flag}={value_name}, or put {flag} at the end of the line.",
                )


def _has_optional_value(each: Option) -> bool:
    return each.flags[0].startswith("-") and each.keywords.get("nargs") == "?"


def _takes_next(command: Command, each: Option, word: str) -> bool:
    """Whether argparse reads a word as this option: its flags, their starts, or -xc for -x -c."""
    flags = [flag for one in command.options for flag in one.flags]
    if word.startswith("--"):
        return {flag for flag in flags if flag.startswith(word)} <= set(each.flags)
    short, *_ = each.flags
    switches = [one for one in command.options if one.keywords.get("action") == "store_true"]
    letters = {flag[1:] for one in switches for flag in one.flags if len(flag) == len(short)}
    return word.startswith("-") and word.endswith(short[1:]) and set(word[1:-1]) <= letters


def _refuse_token(name: str, words: Sequence[str]) -> None:
    from ..credentials.store import refuse_token

    refuse_token(" ".join((name, *words)))
    if name == "login" and not _belongs_to_login(words):
        raise TokenOnLine("What login asks for does not belong on this line, and was not used")


def _belongs_to_login(words: Sequence[str]) -> bool:
    """Whether the words are those that login takes: an option with its value, or nothing."""
    option_and_value = len(words) == 2 and words[0] in ("--from", "--server")  # noqa: PLR2004
    return option_and_value or not set(words) - HELP


def function(name: str) -> Callable[["Door", Namespace], object]:
    """Return the function of a command, importing its module now."""
    module, _, attribute = COMMANDS[name].target.partition(":")
    found: Callable[[Door, Namespace], object] = getattr(
        import_module(f".{module}", __name__), attribute
    )
    return found
