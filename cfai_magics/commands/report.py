"""Report AI use in a notebook, in a form that a student can hand in."""

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..backends.selector import LOCAL_ACCOUNT
from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.ai_appendix import AiAppendix
from ..display.ai_use_report import AiUseReport, ReportEntry
from ..display.appendix_entries import build_entries
from ..display.saved_answers import parse_number, parse_timestamp, read_saved_answers
from ..errors import CfaiError, InvalidOptionError, StorageError
from ..i18n import _, mark, ngettext
from ..notebook import read_provenances, to_valid_text
from ..paths import parse_user_path, write_user_file, write_user_files
from ..personal_data import find_personal_data, format_personal_data
from ..redaction import replace_tokens
from ..replay.contents import Contents
from ..replay.record_mode import CASSETTE_SUFFIX
from ..session.session import Session
from ..state_files import describe_error
from ..types.usage import MAX_NEURONS, MAX_TOKENS

OPTIONS = (
    Option("path", nargs="?", default="", help=mark("the notebook (default: this one)")),
    Option("--csv", action="store_true", help=mark("one line of CSV per call")),
    Option("--save", action="store_true", help=mark("save both as files next to the notebook")),
    Option(
        "--with-text",
        action="store_true",
        help=mark("save all prompts and answers as Markdown, HTML and CSV"),
    ),
    Option(
        "--output",
        default="",
        metavar="DIR",
        help=mark("the folder for the files (default: that of the notebook)"),
    ),
    Option(
        "--overwrite", action="store_true", help=mark("with --with-text: replace existing files")
    ),
)


SAME_CALL_SECONDS = (
    60.0  # the maximum difference between a call's start times in the notebook and the ledger
)
SUFFIX_BY_FORMAT = {"markdown": ".ai-use.md", "csv": ".ai-use.csv"}
APPENDIX_SUFFIXES = (".ai-appendix.md", ".ai-appendix.html", ".ai-appendix.csv")
CSV_ENCODING = "utf-8-sig"  # Excel reads CSV without a byte order mark in a local encoding


def run(frontend: Frontend, options: Namespace) -> AiUseReport | str:
    """Return the report on a notebook, based on the ledger and the notebook's output.

    With --csv, return the report as CSV. With --save, write the report to a Markdown file and a
    CSV file, and return a message. With --with-text, do the same with all prompts and answers.
    """
    _check_options(options)
    path_text = options.path or frontend.session.notebook
    if not path_text:
        raise InvalidOptionError(
            _("A notebook path is required"),
            _("Example: %cfai report lesson.ipynb"),
        )
    path = parse_user_path(path_text).absolute()
    folder = _parse_folder(options.output) if options.output else path.parent
    if options.with_text:
        return _save_appendix(frontend.session, path, folder, overwrite=options.overwrite)
    ai_use_report = AiUseReport(path.name, _collect_entries(frontend.session, path), _today())
    if options.save:
        return _save_report(folder / path.name, ai_use_report)
    return ai_use_report.to_csv() if options.csv else ai_use_report


def _check_options(options: Namespace) -> None:
    """Raise InvalidOptionError for options that do not belong together."""
    for flag, is_used in (("--csv", options.csv), ("--save", options.save)):
        if options.with_text and is_used:
            raise InvalidOptionError(
                _("--with-text can't be combined with {flag}").format(flag=flag),
                _("--with-text saves Markdown, HTML and CSV. Leave out {flag}.").format(flag=flag),
            )
    if options.output and not (options.save or options.with_text):
        raise InvalidOptionError(
            _("--output needs --save or --with-text"),
            _("Example: {example}").format(example="%cfai report --with-text --output DIR"),
        )
    if options.overwrite and not options.with_text:
        raise InvalidOptionError(
            _("--overwrite needs --with-text"),
            _("Example: {example}").format(example="%cfai report --with-text --overwrite"),
        )


def _parse_folder(path_text: str) -> Path:
    folder = parse_user_path(path_text).absolute()
    if not folder.is_dir():
        raise InvalidOptionError(
            _("The folder {path} does not exist").format(path=folder),
            _("Create it, or leave out --output."),
        )
    return folder


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _read_calls(session: Session, path: Path) -> list[Mapping[str, Any]]:
    """Return the calls of a notebook in the ledger, which may know it by several paths."""
    names = {
        str(path),
        str(path.resolve()),
        session.notebook if _is_session_notebook(path, session) else "",
    }
    history = session.accounting.ledger.history
    return [call for name in names - {""} for call in history.calls_of_notebook(name)]


def _collect_entries(session: Session, path: Path) -> list[ReportEntry]:
    ledger_entries = list(map(_entry_from_call, _read_calls(session, path)))
    output_entries = (
        [_entry_from_output(provenance) for provenance in read_provenances(path)]
        if path.is_file()
        else []
    )
    if not ledger_entries and not path.is_file():
        raise _missing_notebook_error(path)
    entries = [*ledger_entries, *_not_among(output_entries, ledger_entries)]
    return sorted(entries, key=lambda entry: entry.started_at)


def _missing_notebook_error(path: Path) -> InvalidOptionError:
    return InvalidOptionError(
        _("The notebook {path} does not exist").format(path=path),
        _("Check the path, such as %cfai report lesson.ipynb."),
    )


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
        started_at=parse_timestamp(metadata.get("date")),
        model=to_valid_text(metadata.get("model")),
        task="",
        tokens_in=int(parse_number(usage.get("prompt_tokens"), MAX_TOKENS) or 0),
        tokens_out=int(parse_number(usage.get("completion_tokens"), MAX_TOKENS) or 0),
        neurons=parse_number(usage.get("neurons"), MAX_NEURONS) or 0.0,
        cost_basis="local"
        if metadata.get("local") and not recording
        else to_valid_text(metadata.get("basis")),
        finish_status=status,
        request_fingerprint=to_valid_text(metadata.get("request")),
        is_output_only=True,
    )


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


# --- prompts and answers


class _Redactor:
    """Replaces tokens, keys and the account ID in use by placeholders, and counts them."""

    def __init__(self, account_id: str) -> None:
        self._account_id = account_id
        self.count = 0

    def __call__(self, text: str) -> str:
        text, count = replace_tokens(text)
        if self._account_id:
            count += text.count(self._account_id)
            text = text.replace(self._account_id, _("<account ID, not shown>"))
        self.count += count
        return text


def _save_appendix(session: Session, path: Path, folder: Path, *, overwrite: bool) -> str:
    """Write the prompts and answers of a notebook to three files, and return a message."""
    if not path.exists():
        raise _missing_notebook_error(path)
    redactor = _Redactor(_find_account_id(session))
    appendix = _build_appendix(session, path, redactor)
    if not appendix.entries:
        return _(
            "{notebook} and its recording have no answers, so no files were written. Save the "
            "notebook first: only outputs in the file are read."
        ).format(notebook=path.name)
    files = [(folder / path.name).with_suffix(suffix) for suffix in APPENDIX_SUFFIXES]
    existing = [file for file in files if file.exists() or file.is_symlink()]
    if existing and not overwrite:
        raise InvalidOptionError(
            _("{path} already exists").format(path=existing[0]),
            _("Add --overwrite to replace the files, or choose another folder with --output."),
        )
    contents = (
        appendix.to_markdown().encode(errors="replace"),
        appendix.to_html().encode(errors="replace"),
        appendix.to_csv().encode(CSV_ENCODING, errors="replace"),
    )
    try:
        write_user_files(dict(zip(files, contents, strict=True)), overwrite=overwrite)
    except OSError as error:
        raise StorageError(
            _("The files can't be written: {error}").format(error=describe_error(error)),
            _("Choose another folder with --output."),
        ) from None
    return "\n".join(_describe_appendix(appendix, files, redactor.count, len(existing)))


def _find_account_id(session: Session) -> str:
    """Return the account ID in use, or "" if there is none."""
    try:
        return session.backend.credential_store.find().account_id
    except CfaiError:
        return ""


def _build_appendix(session: Session, path: Path, redactor: _Redactor) -> AiAppendix:
    recording, lists_unused = _find_recording(session, path)
    contents = session.recorder.cassette(recording).contents() if recording else Contents()
    entries = build_entries(
        read_saved_answers(path), contents, redactor, lists_unused=lists_unused
    )
    notes = [
        _("Recording: {file}.").format(file=redactor(recording.name))
        if recording
        else _("No recording was found next to the notebook.")
    ]
    if contents.corruption_notes:
        notes.append(
            _("{file} has damaged lines, which are skipped: {lines}.").format(
                file=recording.name if recording else "",
                lines="; ".join(contents.corruption_notes),
            )
        )
    known = {entry.request_fingerprint for entry in entries}
    missing_count = sum(
        call["request"] not in known and not (lists_unused and contents.find(call["request"]))
        for call in _read_calls(session, path)
    )
    if missing_count:
        notes.append(
            ngettext(
                "{count:,} more call of this notebook was made on this machine, but neither the "
                "notebook nor the recording has its text. %cfai report lists it.",
                "{count:,} more calls of this notebook were made on this machine, but neither the "
                "notebook nor the recording has their texts. %cfai report lists them.",
                missing_count,
            ).format(count=missing_count)
        )
    return AiAppendix(redactor(path.name), entries, _today(), notes)


def _find_recording(session: Session, path: Path) -> tuple[Path | None, bool]:
    """Return the recording of a notebook, and whether it belongs to this notebook only."""
    default = path.with_suffix(CASSETTE_SUFFIX)
    in_use = session.recorder.mode_resolver.mode_or_off.path
    if _is_session_notebook(path, session) and in_use is not None and in_use.is_file():
        return in_use, in_use.resolve() == default.resolve()
    return (default, True) if default.is_file() else (None, False)


def _describe_appendix(
    appendix: AiAppendix, files: Sequence[Path], secret_count: int, replaced_count: int
) -> Iterator[str]:
    """Yield the lines of the message about the saved files."""
    count = len(appendix.entries)
    yield ngettext(
        "Saved {count:,} answer to {markdown}, {html} and {csv}.",
        "Saved {count:,} answers to {markdown}, {html} and {csv}.",
        count,
    ).format(count=count, markdown=files[0], html=files[1].name, csv=files[2].name)
    yield from appendix.notes
    if replaced_count:
        yield ngettext(
            "{count} existing file was replaced.",
            "{count} existing files were replaced.",
            replaced_count,
        ).format(count=replaced_count)
    if secret_count:
        yield ngettext(
            "{count:,} token, key or account ID was replaced by a placeholder.",
            "{count:,} tokens, keys or account IDs were replaced by placeholders.",
            secret_count,
        ).format(count=secret_count)
    # Each text once, because a conversation repeats its earlier turns.
    texts = dict.fromkeys(
        text
        for entry in appendix.entries
        for text in (*(part.text for part in entry.prompt), entry.answer)
    )
    personal_data = find_personal_data("\n\n".join(texts))
    if personal_data:
        yield _("They seem to contain personal data: {counts}.").format(
            counts=format_personal_data(personal_data)
        )
    yield _(
        "Prompts and answers may contain personal data of you and others, which a program can't "
        "always find. Read the files before you hand them in."
    )
