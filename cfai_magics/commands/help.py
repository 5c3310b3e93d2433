"""List the commands. In a shell, they are grouped and followed by examples."""

from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence

from ..chat.frontend import Frontend
from ..display.tables import Table
from ..i18n import _, mark
from . import COMMANDS

OPTIONS = ()
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


def run(frontend: Frontend, _options: Namespace) -> Table | str:
    """Return the table of commands, or in a shell their groups with examples."""
    if frontend.is_one_shot:
        return _format_shell_help()
    rows = tuple((name, _(summary)) for name, summary in COMMANDS.items())
    return Table(
        (_("command"), _("what it does")), rows, _("%%cfai? lists the options of a cell.")
    )


def _format_shell_help() -> str:
    groups = [
        _format_section(heading, {name: COMMANDS[name] for name in names}, COMMANDS)
        for heading, names in GROUPS.items()
    ]
    return "\n\n".join(
        (
            _("usage: cfai COMMAND [OPTIONS]"),
            *groups,
            _format_section(mark("Examples"), EXAMPLES, EXAMPLES),
            _("cfai ask -h lists the options of ask. Every command has -h."),
        )
    )


def _format_section(
    heading: str, descriptions: Mapping[str, str], aligned_names: Iterable[str]
) -> str:
    width = max(map(len, aligned_names)) + 2
    lines = [f"  {name:<{width}}" + _(text) for name, text in descriptions.items()]
    return "\n".join((_(heading), *lines))
