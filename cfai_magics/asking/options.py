"""Owns the options of asking: for a cell's line, for the shell, for the table in the README."""

from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..settings import FORMS


@dataclass(frozen=True, slots=True)
class Option:
    """One option or argument of a command, as argparse takes it."""

    flags: tuple[str, ...]
    keywords: Mapping[str, Any]


def option(*flags: str, **keywords: Any) -> Option:
    """Return an Option; the arguments are those of ArgumentParser.add_argument."""
    return Option(flags, keywords)


def numbers(text: str) -> tuple[float, ...]:
    """Return the numbers of a list with commas."""
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        raise ArgumentTypeError(f"{text} is no number, and no list such as 0,0.7") from None


TASKS = (
    *("image", "speech", "transcribe", "translate", "embed"),
    *("classify", "rerank", "describe", "markdown"),
)
ASK_OPTIONS = (
    option(
        *("-m", "--model"),
        action="append",
        metavar="NAME",
        help="model; the end of its name will do; several answer side by side",
    ),
    option("-s", "--system", default="", metavar="TEXT", help="system prompt"),
    option(
        *("-c", "--thread"),
        nargs="?",
        const="",
        metavar="NAME",
        help="continue this notebook's conversation, or the one named; before a prompt on the "
        "same line as -c=NAME",
    ),
    option(
        "--image",
        action="append",
        metavar="WHAT",
        help="send an image: a file, an address, a variable, or last; repeatable",
    ),
    option("--raw", action="store_true", help="send {{…}} as typed too"),
    option(
        *("-t", "--temperature"),
        type=numbers,
        default=(),
        metavar="T",
        help="0 is the most predictable; 0,0.7,1.3 asks at each of them",
    ),
    option("-n", "--times", type=int, default=1, metavar="N", help="ask N times, side by side"),
    option("--max-tokens", type=int, metavar="N", help="most tokens of the answer (2048)"),
    option("--top-p", type=float, metavar="P", help="sample from the likeliest tokens only"),
    option("--seed", type=int, metavar="N", help="same seed, same choices, where the model can"),
    option("--stop", action="append", metavar="TEXT", help="end the answer here; repeatable"),
    option(
        *("-p", "--param"),
        action="append",
        metavar="K=V",
        help="any further field of the request, V as JSON or text; repeatable",
    ),
    option("-o", "--output", default="", metavar="NAME", help="variable for the Answer"),
    option(
        *("-f", "--format"),
        choices=FORMS,
        help="form of the answer; raw is the JSON as Workers AI sent it",
    ),
    option(
        "--schema",
        default="",
        metavar="NAME",
        help="answer by a JSON Schema: a dict, a pydantic model or a JSON file",
    ),
    option(
        "--tools",
        default="",
        metavar="F,G",
        help="functions that the model may call; asks before the first call of each",
    ),
    option("--allow-tools", action="store_true", help="call them without asking"),
    option("--max-steps", type=int, metavar="N", help="most requests of a cell with --tools (8)"),
    option("-x", "--extract", action="store_true", help="show only the first code block"),
    option("--think", action="store_true", help="let a reasoning model think first; costs tokens"),
    option("--no-stream", action="store_true", help="wait for the whole answer"),
    option("--max-neurons", type=float, metavar="N", help="a limit for this cell alone"),
    option(
        "--dry-run", action="store_true", help="show what it would send and cost, send nothing"
    ),
    option("--sent", action="store_true", help="show what was sent, part by part, folded"),
    option(
        "--gateway", default="", metavar="NAME", help="AI Gateway to go through; off goes directly"
    ),
    option("--task", choices=TASKS, help="another kind of model than chat"),
    option("--from", dest="source", default="", metavar="LANG", help="translate from a language"),
    option("--to", dest="target", default="", metavar="LANG", help="translate into a language"),
    option("--save", default="", metavar="FILE", help="write what a task made into a file"),
    option("--footer", choices=("full", "short", "off"), help="the line under the answer"),
)
