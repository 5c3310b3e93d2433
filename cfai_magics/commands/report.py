"""Report AI use in a notebook, in a form that a student can hand in."""

from argparse import Namespace
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..backends.selector import LOCAL_ACCOUNT
from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.ai_use_report import AiUseReport, ReportEntry
from ..errors import InvalidOptionError, StorageError
from ..i18n import _, mark
from ..notebook import read_provenances, to_valid_text
from ..paths import parse_user_path, write_user_file
from ..session.session import Session
from ..state_files import describe_error
from ..types.usage import MAX_NEURONS, MAX_TOKENS

OPTIONS = (
    Option("path", nargs="?", default="", help=mark("the notebook (default: this one)")),
    Option("--csv", action="store_true", help=mark("one line of CSV per call")),
    Option("--save", action="store_true", help=mark("save both as files next to the notebook")),
)


SAME_CALL_SECONDS = (
    60.0  # the maximum difference between a call's start times in the notebook and the ledger
)
FIRST_YEAR, LAST_YEAR = 1970, 9998  # of dates in a notebook's metadata
SUFFIX_BY_FORMAT = {"markdown": ".ai-use.md", "csv": ".ai-use.csv"}


def run(frontend: Frontend, options: Namespace) -> AiUseReport | str:
    """Return the report on a notebook, based on the ledger and the notebook's output.

    With --csv, return the report as CSV. With --save, write the report to a Markdown file and a
    CSV file, and return a message.
    """
    path_text = options.path or frontend.session.notebook
    if not path_text:
        raise InvalidOptionError(
            _("A notebook path is required"),
            _("Example: %cfai report lesson.ipynb"),
        )
    path = parse_user_path(path_text).absolute()
    ai_use_report = AiUseReport(path.name, _collect_entries(frontend.session, path), _today())
    if options.save:
        return _save_report(path, ai_use_report)
    return ai_use_report.to_csv() if options.csv else ai_use_report


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _collect_entries(session: Session, path: Path) -> list[ReportEntry]:
    names = {
        str(path),
        str(path.resolve()),
        session.notebook if _is_session_notebook(path, session) else "",
    }
    history = session.accounting.ledger.history
    ledger_entries = [
        _entry_from_call(call) for name in names - {""} for call in history.calls_of_notebook(name)
    ]
    output_entries = (
        [_entry_from_output(provenance) for provenance in read_provenances(path)]
        if path.is_file()
        else []
    )
    if not ledger_entries and not path.is_file():
        raise InvalidOptionError(
            _("The notebook {path} does not exist").format(path=path),
            _("Check the path, such as %cfai report lesson.ipynb."),
        )
    entries = [*ledger_entries, *_not_among(output_entries, ledger_entries)]
    return sorted(entries, key=lambda entry: entry.started_at)


def _is_session_notebook(path: Path, session: Session) -> bool:
    return bool(session.notebook) and Path(session.notebook).absolute() == path


def _entry_from_call(call: Mapping[str, Any]) -> ReportEntry:
    is_local = call["account"] == LOCAL_ACCOUNT and call["status"] != "replayed"
    return ReportEntry(
        started_at=call["started"],
        model=call["model"],
        task=call["task"],
        tokens_in=call["tokens_in"],
        tokens_out=call["tokens_out"],
        neurons=call["neurons"],
        cost_basis="local" if is_local else call["basis"],
        finish_status=call["status"],
        request_fingerprint=call["request"],
    )


def _entry_from_output(metadata: Mapping[str, Any]) -> ReportEntry:
    """Return a report entry built from the metadata of a notebook output.

    The values are checked, because a notebook may contain arbitrary metadata.
    """
    usage = metadata.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    recording = metadata.get("recorded")
    status = "replayed" if recording else to_valid_text(metadata.get("finish"))
    return ReportEntry(
        started_at=_parse_timestamp(metadata.get("date")),
        model=to_valid_text(metadata.get("model")),
        task="",
        tokens_in=int(_number_or_zero(usage.get("prompt_tokens"), MAX_TOKENS)),
        tokens_out=int(_number_or_zero(usage.get("completion_tokens"), MAX_TOKENS)),
        neurons=_number_or_zero(usage.get("neurons"), MAX_NEURONS),
        cost_basis="local"
        if metadata.get("local") and not recording
        else to_valid_text(metadata.get("basis")),
        finish_status=status,
        request_fingerprint=to_valid_text(metadata.get("request")),
        is_output_only=True,
    )


def _parse_timestamp(date: Any) -> float:
    """Return the time of an ISO date in seconds since the epoch, or 0 if it is not valid.

    Dates without an offset are in UTC. Years before 1970 and after 9998 are not valid, because
    the report could not show them in every time zone.
    """
    try:
        moment = datetime.fromisoformat(to_valid_text(date))
    except ValueError:
        return 0.0
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number_or_zero(value: Any, maximum: float) -> float:
    """Return a number from JSON, or 0 if it is not between 0 and `maximum`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= maximum else 0.0


def _not_among(
    output_entries: Iterable[ReportEntry], ledger_entries: Iterable[ReportEntry]
) -> list[ReportEntry]:
    """Return the output entries that match no call in the ledger.

    The ledger does not contain calls made on other machines, for example.
    """
    unmatched_calls = list(ledger_entries)
    unmatched_outputs = []
    for entry in output_entries:
        matching_call = next(
            (ledger_entry for ledger_entry in unmatched_calls if _is_same(ledger_entry, entry)),
            None,
        )
        if matching_call is None:
            unmatched_outputs.append(entry)
        else:
            unmatched_calls.remove(matching_call)
    return unmatched_outputs


def _is_same(entry: ReportEntry, other_entry: ReportEntry) -> bool:
    return (
        entry.request_fingerprint == other_entry.request_fingerprint
        and abs(entry.started_at - other_entry.started_at) < SAME_CALL_SECONDS
    )


def _save_report(path: Path, ai_use_report: AiUseReport) -> str:
    texts = {"markdown": str(ai_use_report), "csv": ai_use_report.to_csv()}
    text_by_path = {path.with_suffix(SUFFIX_BY_FORMAT[kind]): text for kind, text in texts.items()}
    try:
        for file, text in text_by_path.items():
            write_user_file(file, [f"{text}\n".encode(errors="replace")])
    except OSError as error:
        raise StorageError(
            _("The report can't be written: {error}").format(error=describe_error(error)),
            _("%cfai report without --save shows it."),
        ) from None
    markdown_path, csv_path = text_by_path
    return _("Saved to {first} and {second}.").format(first=markdown_path, second=csv_path)
