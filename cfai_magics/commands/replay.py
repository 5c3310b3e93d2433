"""Choose the record mode, or show what is recorded."""

from argparse import Namespace
from collections import Counter

from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import Table, format_date
from ..errors import InvalidOptionError
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
        help="auto, only, refresh or off",
    ),
    Option("path", nargs="?", default="", help="the file; else beside the notebook"),
    Option("--instant", action="store_true", help="replay at once, not in its rhythm"),
)


COMMAND_SOURCE = "%cfai replay"


def run(frontend: Frontend, options: Namespace) -> Table:
    """Let a mode hold for the session, and show what is recorded."""
    if options.mode:
        _set_mode(frontend, options)
    elif options.instant:
        raise InvalidOptionError(
            "--instant goes with a mode", "Write for example %cfai replay only."
        )
    return _build_table(frontend.session)


def _set_mode(frontend: Frontend, options: Namespace) -> None:
    if frontend.is_one_shot:
        raise InvalidOptionError(
            "In the shell each command is a session of its own",
            f"Set CFAI_REPLAY={options.mode}:PATH in the environment.",
        )
    path = parse_user_path(options.path).absolute() if options.path else None
    if path is not None and not (path.parent.is_dir() and (path.is_file() or not path.exists())):
        raise InvalidOptionError(
            f"{path} can be no file", "Give the path of a file in a folder there is."
        )
    frontend.session.recorder.set_mode(
        RecordMode(options.mode, path, COMMAND_SOURCE, options.instant)
    )


def _build_table(session: Session) -> Table:
    record_mode = session.recorder.record_mode
    rows = [("mode", record_mode.description), ("because of", record_mode.source)]
    cassette = session.recorder.cassette(record_mode.path) if record_mode.path else None
    session.recorder.sort_cassettes()
    if cassette is None:
        return Table(("recording", ""), tuple(rows))
    contents = cassette.contents()
    timing_text = "at once" if record_mode.instant else "in the rhythm in which they came"
    rows += [
        ("file", str(cassette.path)),
        ("replayed", timing_text),
        *_summarize_interactions(contents.interactions),
    ]
    rows += [
        ("damaged", f"{corruption_note}: skipped, and left")
        for corruption_note in contents.corruption_notes
    ]
    return Table(("recording", ""), tuple(rows))


def _summarize_interactions(interactions: tuple[Interaction, ...]) -> list[tuple[str, str]]:
    if not interactions:
        return [("answers", "none yet")]
    questions = len({interaction.request.fingerprint for interaction in interactions})
    dates = sorted(record.date for record in interactions)
    days = sorted(
        {format_date(dates[0]), format_date(dates[-1])},
        key=[format_date(iso_date) for iso_date in dates].index,
    )
    model_counts = Counter(_format_model(record) for record in interactions)
    return [
        ("answers", f"{len(interactions):,} to {questions:,} questions"),
        ("recorded", " to ".join(days)),
        *(("model", f"{name}: {count:,}") for name, count in model_counts.most_common()),
    ]


def _format_model(interaction: Interaction) -> str:
    return (
        f"{interaction.model}, a local model"
        if interaction.request.local_model
        else interaction.model
    )
