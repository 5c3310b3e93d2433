"""Declare and parse options. The cell magic, the shell and the README share ASK_OPTIONS."""

import re
from argparse import (
    Action,
    ArgumentError,
    ArgumentParser,
    ArgumentTypeError,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NoReturn

from ..arguments import find_closest, format_suggestions
from ..errors import InvalidOptionError
from ..i18n import _, mark
from ..settings import FORMATS

TASK_NAMES = (
    *("image", "speech", "transcribe", "translate", "embed"),
    *("classify", "rerank", "describe", "markdown"),
)

DEFAULT_CONTEXT_TOKENS = 4_000  # about 16,000 characters of cells
MAX_CONTEXT_DIGITS = 9  # more tokens than any context window

HELP_HEADINGS = (mark("usage:"), mark("positional arguments:"), mark("options:"))
# Regular expressions that match argparse's error messages, so that the messages can be translated.
UNKNOWN_OPTIONS_PATTERN = r"unrecognized arguments: (?P<words>.+)"
INVALID_CHOICE_PATTERN = (
    r"argument (?P<option>\S+): invalid choice: (?P<value>.+) \(choose from (?P<choices>.+)\)"
)
PARSER_MESSAGES = (
    (UNKNOWN_OPTIONS_PATTERN, mark("unrecognized arguments: {words}")),
    (
        r"ambiguous option: (?P<option>\S+) could match (?P<options>.+)",
        mark("{option} could be {options}"),
    ),
    (
        r"the following arguments are required: (?P<names>.+)",
        mark("the following arguments are required: {names}"),
    ),
    (
        r"argument (?P<option>\S+): expected one argument",
        mark("argument {option}: expected one argument"),
    ),
    (
        r"argument (?P<option>\S+): expected at least one argument",
        mark("argument {option}: expected at least one argument"),
    ),
    (
        INVALID_CHOICE_PATTERN,
        mark("argument {option}: invalid choice: {value} (choose from {choices})"),
    ),
    (
        r"argument (?P<option>\S+): invalid \w+ value: (?P<value>.+)",
        mark("argument {option}: invalid value: {value}"),
    ),
    (r"argument (?P<option>\S+): (?P<reason>.+)", mark("argument {option}: {reason}")),
)


class Option:
    """An option or argument of a command.

    Args:
        flags: The names, such as "-m" and "--model", or the name of a positional argument.
        argparse_kwargs: The keyword arguments for `ArgumentParser.add_argument`. The parser
            translates `help`, so mark its text for translation.
    """

    __slots__ = ("argparse_kwargs", "flags")

    def __init__(self, *flags: str, **argparse_kwargs: Any) -> None:
        self.flags = flags
        self.argparse_kwargs = argparse_kwargs


class StoreOnce(Action):
    """The argparse action "store", except that a repeated option is an error."""

    def __call__(
        self,
        _parser: ArgumentParser,
        namespace: Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store the value."""
        if option_string and getattr(namespace, self.dest, self.default) is not self.default:
            raise ArgumentError(self, _("use it only once"))
        setattr(namespace, self.dest, values)


class OptionParser(ArgumentParser):
    """An ArgumentParser that raises InvalidOptionError instead of exiting.

    Args:
        prog: The command as the user types it.
        options: The options and arguments of the command.
        summary: The text above the options in the help, marked for translation.
        hint: The hint in error messages, marked for translation. The default hint says how to
            show the help.
    """

    def __init__(
        self,
        prog: str,
        options: Iterable[Option],
        summary: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(
            prog=prog,
            description=_(summary) or None,
            formatter_class=RawDescriptionHelpFormatter,
            add_help=False,
        )
        self._hint = hint
        self.register("action", None, StoreOnce)
        self.register("action", "store", StoreOnce)
        for option in options:
            self.add_argument(*option.flags, **_translate_help(option.argparse_kwargs))

    def error(self, message: str) -> NoReturn:
        """Raise InvalidOptionError with the parser's message and the closest valid names."""
        hint = (
            _(self._hint)
            if self._hint
            else _("{command} -h shows its options.").format(command=self.prog)
        )
        suggestion = format_suggestions(self._suggest(message))
        raise InvalidOptionError(
            f"{self.prog}: {_translate_error(message)}", f"{suggestion} {hint}".lstrip()
        )

    def _suggest(self, message: str) -> list[str]:
        """Return the options, or the values of an option, that the user may have meant."""
        unknown_options = re.fullmatch(UNKNOWN_OPTIONS_PATTERN, message, re.DOTALL)
        if unknown_options:
            words = [word.partition("=")[0] for word in unknown_options["words"].split()]
            flags = self._option_string_actions
            names = [flag.removeprefix("--") for flag in flags if flag.startswith("--")]
            return [
                f"--{name}"
                for word in words
                if word.startswith("-")
                for name in find_closest(word.lstrip("-"), names)
            ]
        invalid_choice = re.fullmatch(INVALID_CHOICE_PATTERN, message, re.DOTALL)
        if invalid_choice:
            choices = [choice.strip("'") for choice in invalid_choice["choices"].split(", ")]
            return find_closest(invalid_choice["value"].strip("'"), choices)
        return []

    def format_help(self) -> str:
        """Return the help text in the user's language."""
        help_text = super().format_help()
        for heading in HELP_HEADINGS:
            help_text = re.sub(f"^{heading}", _(heading), help_text, count=1, flags=re.MULTILINE)
        return help_text


def _translate_error(message: str) -> str:
    for pattern, translatable in PARSER_MESSAGES:
        match = re.fullmatch(pattern, message, re.DOTALL)
        if match is not None:
            return _(translatable).format(**match.groupdict())
    return message


def _translate_help(argparse_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    help_text = argparse_kwargs.get("help")
    return {**argparse_kwargs, "help": _(help_text) if help_text else None}


@cache
def get_ask_parser() -> OptionParser:
    """Return the parser for the `%%cfai` line, which contains options but no prompt."""
    return OptionParser("%%cfai", ASK_OPTIONS, hint=InvalidOptionError.default_hint)


def parse_floats(text: str) -> tuple[float, ...]:
    """Return the numbers in a comma-separated list.

    Raises:
        ArgumentTypeError: One of the numbers is invalid.
    """
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        raise ArgumentTypeError(
            _("'{text}' is not a number or a list such as 0,0.7").format(text=text)
        ) from None


def parse_context(text: str) -> int:
    """Return the maximum number of tokens of the cells above, from "above" or "above:N".

    Raises:
        ArgumentTypeError: The text has another form, or N is not at least 1.
    """
    name, colon, count = text.partition(":")
    if name == "above" and not colon:
        return DEFAULT_CONTEXT_TOKENS
    if name != "above" or not (
        count.isascii() and count.isdigit() and int(count[:MAX_CONTEXT_DIGITS])
    ):
        raise ArgumentTypeError(
            _("'{text}' is not above or above:N, where N is a number of tokens").format(text=text)
        )
    return int(count[:MAX_CONTEXT_DIGITS])


ASK_OPTIONS = (
    Option(
        *("-m", "--model"),
        action="append",
        metavar="NAME",
        help=mark("model name, or the end of it; repeat -m to compare models"),
    ),
    Option("-s", "--system", default="", metavar="TEXT", help=mark("system prompt")),
    Option(
        *("-c", "--thread"),
        nargs="?",
        const="",
        metavar="NAME",
        help=mark(
            "continue this notebook's conversation or NAME; use -c=NAME before a prompt on this "
            "line"
        ),
    ),
    Option(
        "--image",
        action="append",
        metavar="WHAT",
        help=mark(
            'send an image: a file, a URL, a variable, or "last" for the latest figure; repeatable'
        ),
    ),
    Option(
        "--context",
        type=parse_context,
        metavar="above[:N]",
        help=mark(
            "send the cells above with their outputs, the newest first, up to N tokens (4000)"
        ),
    ),
    Option("--raw", action="store_true", help=mark("send {{…}} as typed")),
    Option(
        *("-t", "--temperature"),
        type=parse_floats,
        default=(),
        metavar="T",
        help=mark(
            "temperature: 0 is the most predictable; a list such as 0,0.7,1.3 compares several"
        ),
    ),
    Option(
        *("-n", "--times"),
        type=int,
        default=1,
        metavar="N",
        help=mark("send the prompt N times and compare the answers"),
    ),
    Option(
        "--max-tokens",
        type=int,
        metavar="N",
        help=mark("maximum length of the answer in tokens (2048)"),
    ),
    Option(
        "--top-p",
        type=float,
        metavar="P",
        help=mark("sample only from the most likely tokens, up to total probability P"),
    ),
    Option(
        "--seed",
        type=int,
        metavar="N",
        help=mark("seed for repeatable answers, if the model supports it"),
    ),
    Option(
        "--probs",
        type=int,
        metavar="N",
        help=mark("shade each token by its probability, with the N most likely ones (0 to 20)"),
    ),
    Option(
        "--stop",
        action="append",
        metavar="TEXT",
        help=mark("end the answer at this text; repeatable"),
    ),
    Option(
        *("-p", "--param"),
        action="append",
        metavar="K=V",
        help=mark("any other field of the request; V is JSON or text; repeatable"),
    ),
    Option(
        *("-o", "--output"),
        default="",
        metavar="NAME",
        help=mark("store the Answer in this variable"),
    ),
    Option(
        *("-f", "--format"),
        choices=FORMATS,
        help=mark("format of the answer; raw is the JSON response of Workers AI"),
    ),
    Option(
        "--plain",
        action="store_true",
        help=mark("show the answer as plain text (-f text); a terminal then shows no formatting"),
    ),
    Option(
        "--schema",
        default="",
        metavar="NAME",
        help=mark("JSON Schema of the answer: a dict, a pydantic model or a JSON file"),
    ),
    Option(
        "--tools",
        default="",
        metavar="F,G",
        help=mark("functions that the model may call; you confirm the first call to each"),
    ),
    Option(
        "--allow-tools",
        action="store_true",
        help=mark("let the model call the functions without confirmation"),
    ),
    Option(
        "--max-steps",
        type=int,
        metavar="N",
        help=mark("maximum number of requests per cell with --tools (8)"),
    ),
    Option(*("-x", "--extract"), action="store_true", help=mark("show only the first code block")),
    Option(
        "--think",
        action="store_true",
        help=mark("let a reasoning model think first; uses more tokens"),
    ),
    Option(
        "--no-stream",
        action="store_true",
        help=mark("show the answer only when it is complete"),
    ),
    Option(
        "--max-neurons", type=float, metavar="N", help=mark("budget for this cell, in neurons")
    ),
    Option(
        "--dry-run",
        action="store_true",
        help=mark("show the request and its estimated cost without sending it"),
    ),
    Option(
        "--sent",
        action="store_true",
        help=mark("also show the prompt that was sent, part by part"),
    ),
    Option(
        "--gateway", default="", metavar="NAME", help=mark("AI Gateway to use; off bypasses it")
    ),
    Option("--task", choices=TASK_NAMES, help=mark("run a model for a task other than chat")),
    Option(
        "--from",
        dest="source",
        default="",
        metavar="LANG",
        help=mark("source language of a translation"),
    ),
    Option(
        "--to",
        dest="target",
        default="",
        metavar="LANG",
        help=mark("target language of a translation"),
    ),
    Option("--save", default="", metavar="FILE", help=mark("save the result of --task to a file")),
    Option(
        "--footer",
        choices=("short", "full", "off"),
        help=mark("how much detail the line below the answer shows"),
    ),
)
ASK_LINE_OPTIONS = (  # of `%cfai ask`
    Option("prompt", nargs="*", help=mark("the prompt; - stands for piped text")),
    *ASK_OPTIONS,
)
