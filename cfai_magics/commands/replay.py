"""The command about recordings: choose what is done with them, show what they hold."""

from argparse import Namespace
from collections import Counter

from ..asking.door import Door
from ..errors import BadOption
from ..paths import user_path
from ..render.formats import Table, day
from ..replay import Record, Way
from ..session import Session

SAID = "%cfai replay"


def replay(door: Door, options: Namespace) -> Table:
    """Let a mode hold for the session, and show what is recorded."""
    if options.mode:
        _choose(door, options)
    elif options.instant:
        raise BadOption("--instant goes with a mode", "Write for example %cfai replay only.")
    return _table(door.session)


def _choose(door: Door, options: Namespace) -> None:
    if door.remembers:
        raise BadOption(
            "In the shell each command is a session of its own",
            f"Set CFAI_REPLAY={options.mode}:PATH in the environment.",
        )
    path = user_path(options.path).absolute() if options.path else None
    if path is not None and not (path.parent.is_dir() and (path.is_file() or not path.exists())):
        raise BadOption(f"{path} can be no file", "Give the path of a file in a folder there is.")
    door.session.replay.choose(Way(options.mode, path, SAID, options.instant))


def _table(session: Session) -> Table:
    way = session.replay.way
    rows = [("mode", way.words), ("because of", way.source)]
    if way.path is None:
        return Table(("recording", ""), tuple(rows))
    contents = session.replay.shelf(way.path).contents()
    rhythm = "at once" if way.instant else "in the rhythm in which they came"
    rows += [("file", str(way.path)), ("replayed", rhythm), *_held(contents.records)]
    rows += [("damaged", f"{damage}: skipped, and left") for damage in contents.damaged]
    return Table(("recording", ""), tuple(rows))


def _held(records: tuple[Record, ...]) -> list[tuple[str, str]]:
    if not records:
        return [("answers", "none yet")]
    questions = len({record.asked.key for record in records})
    dates = sorted(record.date for record in records)
    days = sorted({day(dates[0]), day(dates[-1])}, key=[day(each) for each in dates].index)
    models = Counter(_named(record) for record in records)
    return [
        ("answers", f"{len(records):,} to {questions:,} questions"),
        ("recorded", " to ".join(days)),
        *(("model", f"{name}: {count:,}") for name, count in models.most_common()),
    ]


def _named(record: Record) -> str:
    return f"{record.model}, a local model" if record.asked.local else record.model
