"""Define command options, and the options of a question for magic, shell and README."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable
from functools import cache
from typing import Any, NoReturn

from ..errors import InvalidOptionError
from ..settings import FORMATS

TASK_NAMES = (
    *("image", "speech", "transcribe", "translate", "embed"),
    *("classify", "rerank", "describe", "markdown"),
)


class Option:
    """One option or argument of a command; the arguments are those of `add_argument`."""

    __slots__ = ("argparse_kwargs", "flags")

    def __init__(self, *flags: str, **argparse_kwargs: Any) -> None:
        self.flags = flags
        self.argparse_kwargs = argparse_kwargs


class OptionParser(ArgumentParser):
    """An ArgumentParser that raises InvalidOptionError instead of ending the process."""

    def __init__(
        self, prog: str, options: Iterable[Option], summary: str | None = None, hint: str = ""
    ) -> None:
        super().__init__(prog=prog, description=summary, add_help=False)
        self._hint = hint or f"{prog} -h shows what it takes."
        for option in options:
            self.add_argument(*option.flags, **option.argparse_kwargs)

    def error(self, message: str) -> NoReturn:
        """Raise InvalidOptionError with the parser's message."""
        raise InvalidOptionError(f"{self.prog}: {message}", self._hint)


@cache
def get_ask_parser() -> OptionParser:
    """Return the parser of the `%%cfai` line: the options of a question, without a prompt."""
    return OptionParser("%%cfai", ASK_OPTIONS, hint=InvalidOptionError.default_hint)


def parse_floats(text: str) -> tuple[float, ...]:
    """Return the numbers in a comma-separated list; ArgumentTypeError if one is invalid."""
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        raise ArgumentTypeError(f"{text} is no number, and no list such as 0,0.7") from None


ASK_OPTIONS = (
    Option(
        *("-m", "--model"),
        action="append",
        metavar="NAME",
        help="model; the end of its name will do; several answer side by side",
    ),
    Option("-s", "--system", default="", metavar="TEXT", help="system prompt"),
    Option(
        *("-c", "--thread"),
        nargs="?",
        const="",
        metavar="NAME",
        help="continue this notebook's conversation, or the one named; before a prompt on the "
        "same line as -c=NAME",
    ),
    Option(
        "--image",
        action="append",
        metavar="WHAT",
        help="send an image: a file, an address, a variable, or last; repeatable",
    ),
    Option("--raw", action="store_true", help="send {{…}} as typed too"),
    Option(
        *("-t", "--temperature"),
        type=parse_floats,
        default=(),
        metavar="T",
        help="0 is the most predictable; 0,0.7,1.3 asks at each of them",
    ),
    Option("-n", "--times", type=int, default=1, metavar="N", help="ask N times, side by side"),
    Option("--max-tokens", type=int, metavar="N", help="most tokens of the answer (2048)"),
    Option("--top-p", type=float, metavar="P", help="sample from the likeliest tokens only"),
    Option("--seed", type=int, metavar="N", help="same seed, same choices, where the model can"),
    Option("--stop", action="append", metavar="TEXT", help="end the answer here; repeatable"),
    Option(
        *("-p", "--param"),
        action="append",
        metavar="K=V",
        help="any further field of the request, V as JSON or text; repeatable",
    ),
    Option("-o", "--output", default="", metavar="NAME", help="variable for the Answer"),
    Option(
        *("-f", "--format"),
        choices=FORMATS,
        help="form of the answer; raw is the JSON as Workers AI sent it",
    ),
    Option(
        "--schema",
        default="",
        metavar="NAME",
        help="answer by a JSON Schema: a dict, a pydantic model or a JSON file",
    ),
    Option(
        "--tools",
        default="",
        metavar="F,G",
        help="functions that the model may call; asks before the first call of each",
    ),
    Option("--allow-tools", action="store_true", help="call them without asking"),
    Option("--max-steps", type=int, metavar="N", help="most requests of a cell with --tools (8)"),
    Option("-x", "--extract", action="store_true", help="show only the first code block"),
    Option("--think", action="store_true", help="let a reasoning model think first; costs tokens"),
    Option("--no-stream", action="store_true", help="wait for the whole answer"),
    Option("--max-neurons", type=float, metavar="N", help="a limit for this cell alone"),
    Option(
        "--dry-run", action="store_true", help="show what it would send and cost, send nothing"
    ),
    Option("--sent", action="store_true", help="show what was sent, part by part, folded"),
    Option(
        "--gateway", default="", metavar="NAME", help="AI Gateway to go through; off goes directly"
    ),
    Option("--task", choices=TASK_NAMES, help="another kind of model than chat"),
    Option("--from", dest="source", default="", metavar="LANG", help="translate from a language"),
    Option("--to", dest="target", default="", metavar="LANG", help="translate into a language"),
    Option("--save", default="", metavar="FILE", help="write what a task made into a file"),
    Option("--footer", choices=("full", "short", "off"), help="the line under the answer"),
)
