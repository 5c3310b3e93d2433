"""The command that writes down which models answered in a notebook: for who hands it in."""

from argparse import Namespace
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..asking.door import Door
from ..errors import BadOption, StoreError
from ..notebook.lesson import provenances
from ..paths import user_path
from ..render.statement import Entry, Statement
from ..route.route import LOCAL_ACCOUNT
from ..session import Session

SAME_CALL = 60.0  # s: between the times that a notebook and the ledger note for one call
SUFFIXES = {"markdown": ".ai-use.md", "csv": ".ai-use.csv"}


def report(door: Door, options: Namespace) -> Statement | str:
    """Return the statement on a notebook: of what the ledger knows and of what its outputs say."""
    named = options.path or door.session.notebook
    if not named:
        raise BadOption("Nobody tells here which notebook this is", "%cfai report lesson.ipynb")
    path = user_path(named).absolute()
    statement = Statement(path.name, _entries(door.session, path), _today())
    if options.save:
        return _saved(path, statement)
    return statement.csv() if options.csv else statement


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _entries(session: Session, path: Path) -> list[Entry]:
    names = {str(path), str(path.resolve()), session.notebook if _is(path, session) else ""}
    history = session.books.ledger.history
    booked = [_booked(call) for name in names - {""} for call in history.calls_of(name)]
    shown = [_shown(told) for told in provenances(path)] if path.is_file() else []
    if not booked and not path.is_file():
        raise BadOption(f"There is no notebook {path}", "%cfai report lesson.ipynb")
    found = [*booked, *_not_among(shown, booked)]
    return sorted(found, key=lambda entry: entry.started)


def _is(path: Path, session: Session) -> bool:
    return bool(session.notebook) and Path(session.notebook).absolute() == path


def _booked(call: Mapping[str, Any]) -> Entry:
    is_local = call["account"] == LOCAL_ACCOUNT and call["status"] != "replayed"
    return Entry(
        started=call["started"],
        model=call["model"],
        task=call["task"],
        tokens_in=call["tokens_in"],
        tokens_out=call["tokens_out"],
        neurons=call["neurons"],
        basis="local" if is_local else call["basis"],
        ended=call["status"],
        request=call["request"],
    )


def _shown(told: Mapping[str, Any]) -> Entry:
    """Return what an output tells; a notebook may hold anything."""
    usage = told.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    recorded = told.get("recorded")
    ended = "replayed" if recorded else str(told.get("finish", ""))
    return Entry(
        started=_seconds(told.get("date")),
        model=str(told.get("model", "")),
        task="",
        tokens_in=_whole(usage.get("prompt_tokens")),
        tokens_out=_whole(usage.get("completion_tokens")),
        neurons=_number(usage.get("neurons")),
        basis="local" if told.get("local") and not recorded else str(told.get("basis") or ""),
        ended=ended,
        request=str(told.get("request", "")),
        elsewhere=True,
    )


def _seconds(date: Any) -> float:
    try:
        return datetime.fromisoformat(str(date)).timestamp()
    except ValueError:
        return 0.0


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _whole(value: Any) -> int:
    return int(_number(value))


def _not_among(shown: Iterable[Entry], booked: Iterable[Entry]) -> list[Entry]:
    """Return the outputs that show none of the calls in the ledger: they come from elsewhere."""
    left = list(booked)
    found = []
    for entry in shown:
        same = next((each for each in left if _is_same(each, entry)), None)
        if same is None:
            found.append(entry)
        else:
            left.remove(same)
    return found


def _is_same(one: Entry, other: Entry) -> bool:
    return one.request == other.request and abs(one.started - other.started) < SAME_CALL


def _saved(path: Path, statement: Statement) -> str:
    texts = {"markdown": str(statement), "csv": statement.csv()}
    files = {path.with_suffix(SUFFIXES[kind]): text for kind, text in texts.items()}
    try:
        for file, text in files.items():
            file.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"The report can't be written: {error}", "%cfai report without --save shows it."
        ) from None
    return f"Written: {' and '.join(map(str, files))}."
