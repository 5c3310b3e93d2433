"""Show the cheat sheet. In a shell, list the commands in groups, followed by examples."""

from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..chat.frontend import Frontend
from ..display.tables import muted_html
from ..i18n import _, mark
from ..markdown.escaping import escape_html
from ..texts import pad_right, text_width
from . import COMMANDS

OPTIONS = ()
START: Mapping[str, str] = {
    "%load_ext cfai_magics": mark("load the magics, once per kernel"),
    "%cfai login": mark("enter the account ID and API token"),
    "%cfai login --class URL": mark("enter your key of a class server"),
    "%cfai local": mark("no account: use a small model on this machine"),
}
CELLS: Mapping[str, str] = {
    "%%cfai": mark("send the text below it"),
    "{{df.head()}}": mark("insert a value into the prompt"),
    "%%cfai -m gemma-4-26b-a4b-it": mark("choose a model; several -m compare"),
    "%%cfai -c": mark("continue the conversation"),
    '%%cfai -s "Be brief"': mark("set the system prompt"),
    "%%cfai --image last": mark("send the last figure"),
    "%%cfai --context above": mark("send the cells above"),
    "%%cfai -f code": mark("put the code into a new cell"),
    "%%cfai --schema City": mark("constrain the answer to a pydantic model"),
    "%%cfai -n 5 -t 0,1": mark("ask 5 times at each temperature"),
    "%%cfai --probs 5": mark("show how likely each token was"),
    "%%cfai --max-neurons 20": mark("limit what the cell may cost"),
    "%%cfai --dry-run": mark("show the request and its cost, send nothing"),
    "%%cfai -o answer": mark("store the answer in a variable"),
}
PYTHON: Mapping[str, str] = {
    "from cfai_magics import ask, map, embed": mark("the functions"),
    'ask("Why is the sky blue?")': mark("ask; the result has .text, .neurons and .parsed"),
    'map("Translate: {text}", df)': mark("ask once per row of a data frame"),
    "embed(texts)": mark("turn texts into vectors"),
    "_cfai": mark("the last answer"),
}
GROUPS: Mapping[str, Sequence[str]] = {
    mark("Ask and continue"): ("ask", "thread", "sent", "explain", "fix", "map"),
    mark("Neurons"): ("usage", "budget", "plan", "class"),
    mark("Record and report"): ("replay", "verify", "report"),
    mark("Account and models"): ("login", "logout", "models", "use", "local", "panel", "export"),
    mark("Setup and help"): ("status", "doctor", "demo", "lite", "help"),
}
EXAMPLES: Mapping[str, str] = {
    "cfai ask Why is the sky blue": mark("ask a question"),
    "git diff | cfai ask Review - and name the risks": mark("ask about piped text"),
    "cfai ask -c=physics And why is it red": mark("continue a conversation"),
    "cfai models gemma": mark("find a model and its price"),
    "cfai usage": mark("show the neurons used today"),
}
# Tables of a narrow notebook are below each other.
COLUMNS_STYLE = "columns: 2 28em; column-gap: 2em"
TABLE_STYLE = "break-inside: avoid; margin: 0 0 1em; width: 100%"
CAPTION_STYLE = "text-align: left; font-weight: bold; padding: 4px 0"
LEFT = "text-align: left; vertical-align: top"


class CheatSheet(NamedTuple):
    """The cells, functions and commands on one page, shown as text or HTML.

    Attributes:
        sections: For each heading, what to type and what it does. All texts are translated.
        note: The line below.
    """

    sections: Mapping[str, Mapping[str, str]]
    note: str = ""

    def __str__(self) -> str:
        codes = [code for rows in self.sections.values() for code in rows]
        sections = [_format_section(*section, codes) for section in self.sections.items()]
        return "\n\n".join([*sections, *([self.note] if self.note else [])])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        tables = "".join(_render_section(*section) for section in self.sections.items())
        return f'<div style="{COLUMNS_STYLE}">{tables}</div>{muted_html(self.note)}'


def create_cheat_sheet() -> CheatSheet:
    """Return the cheat sheet in the language of the user."""
    examples = {mark("Start"): START, mark("Cells"): CELLS, mark("Python"): PYTHON}
    commands = {
        heading: {f"%cfai {name}": COMMANDS[name] for name in names}
        for heading, names in GROUPS.items()
    }
    return CheatSheet(
        {
            _(heading): {code: _(text) for code, text in rows.items()}
            for heading, rows in (examples | commands).items()
        },
        _("%%cfai? lists the options of a cell. Every command has -h, such as %cfai usage -h."),
    )


def run(frontend: Frontend, _options: Namespace) -> CheatSheet | str:
    """Return the cheat sheet, or in a shell the groups of commands with examples."""
    return _format_shell_help() if frontend.is_one_shot else create_cheat_sheet()


def _format_shell_help() -> str:
    groups = [
        _format_section(_(heading), {name: _(COMMANDS[name]) for name in names}, COMMANDS)
        for heading, names in GROUPS.items()
    ]
    examples = {code: _(text) for code, text in EXAMPLES.items()}
    return "\n\n".join(
        (
            _("usage: cfai COMMAND [OPTIONS]"),
            *groups,
            _format_section(_("Examples"), examples, examples),
            _("cfai ask -h lists the options of ask. Every command has -h."),
        )
    )


def _format_section(
    heading: str, descriptions: Mapping[str, str], aligned_names: Iterable[str]
) -> str:
    width = max(map(text_width, aligned_names)) + 2
    lines = [f"  {pad_right(name, width)}{text}" for name, text in descriptions.items()]
    return "\n".join((heading, *lines))


def _render_section(heading: str, rows: Mapping[str, str]) -> str:
    body = "".join(
        f'<tr><th scope="row" style="{LEFT}"><code>{escape_html(code)}</code></th>'
        f'<td style="{LEFT}">{escape_html(text)}</td></tr>'
        for code, text in rows.items()
    )
    caption = f'<caption style="{CAPTION_STYLE}">{escape_html(heading)}</caption>'
    return f'<table style="{TABLE_STYLE}">{caption}<tbody>{body}</tbody></table>'
