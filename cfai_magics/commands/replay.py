"""Set the record mode and show information about the recording."""

from argparse import Namespace
from collections import Counter
from pathlib import Path

from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import Table, format_date
from ..errors import InvalidOptionError
from ..i18n import _, mark, ngettext
from ..paths import parse_user_path
from ..replay.interaction import Interaction
from ..replay.record_mode import RecordMode
from ..session.session import Session
from ..settings import RECORD_MODES

OPTIONS = (
    Option(
        "mode",
        nargs="?",
        choices=RECORD_MODES,
        help=mark("record mode: auto, only, refresh or off"),
    ),
    Option(
        "path", nargs="?", default="", help=mark("the recording (default: next to the notebook)")
    ),
    Option("--instant", action="store_true", help=mark("replay without the original delays")),
)


COMMAND_SOURCE = "%cfai replay"


def run(frontend: Frontend, options: Namespace) -> Table:
    """Set the session's record mode if one is given, and describe the recording in a table."""
    if options.mode:
        _set_mode(frontend, options)
    elif options.instant:
        raise InvalidOptionError(
            _("--instant requires a record mode"),
            _("Example: %cfai replay only --instant"),
        )
    return _build_table(frontend.session)


def _set_mode(frontend: Frontend, options: Namespace) -> None:
    if frontend.is_one_shot:
        raise InvalidOptionError(
            _("In a shell, each command is its own session"),
            _("Set the environment variable CFAI_REPLAY={mode}:PATH.").format(mode=options.mode),
        )
    path = parse_user_path(options.path).absolute() if options.path else None
    if path is not None and not (path.parent.is_dir() and (path.is_file() or not path.exists())):
        raise InvalidOptionError(
            _("{path} is not a valid file path").format(path=path),
            _("Specify a file in an existing folder."),
        )
    frontend.session.recorder.set_mode(
        RecordMode(options.mode, path, COMMAND_SOURCE, options.instant)
    )


def _build_table(session: Session) -> Table:
    record_mode = session.recorder.record_mode
    rows = [(_("mode"), record_mode.description), (_("set by"), record_mode.source)]
    cassette = session.recorder.cassette(record_mode.path) if record_mode.path else None
    session.recorder.sort_cassettes()
    if cassette is None:
        return Table((_("recording"), ""), tuple(rows))
    contents = cassette.contents()
    timing_text = _("instantly") if record_mode.instant else _("at the original speed")
    rows += [
        (_("file"), _format_path(cassette.path)),
        (_("replayed"), timing_text),
        *_summarize_interactions(contents.interactions),
    ]
    rows += [
        (_("damaged"), _("{problem} (skipped)").format(problem=corruption_note))
        for corruption_note in contents.corruption_notes
    ]
    return Table((_("recording"), ""), tuple(rows))


def _format_path(path: Path) -> str:
    """Return a path relative to the working folder if it is inside, so no local path is saved."""
    folder = Path.cwd()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _summarize_interactions(interactions: tuple[Interaction, ...]) -> list[tuple[str, str]]:
    if not interactions:
        return [(_("answers"), _("none yet"))]
    questions = len({interaction.request.fingerprint for interaction in interactions})
    dates = sorted(record.date for record in interactions)
    days = sorted(
        {format_date(dates[0]), format_date(dates[-1])},
        key=[format_date(iso_date) for iso_date in dates].index,
    )
    model_counts = Counter(_format_model(record) for record in interactions)
    return [
        (
            _("answers"),
            ngettext(
                "{answers:,} (for {count:,} prompt)",
                "{answers:,} (for {count:,} prompts)",
                questions,
            ).format(answers=len(interactions), count=questions),
        ),
        (
            _("recorded"),
            _("{first} to {last}").format(first=days[0], last=days[1])
            if len(days) > 1
            else days[0],
        ),
        *((_("model"), f"{name}: {count:,}") for name, count in model_counts.most_common()),
    ]


def _format_model(interaction: Interaction) -> str:
    return (
        _("{model} (local)").format(model=interaction.model)
        if interaction.request.local_model
        else interaction.model
    )
