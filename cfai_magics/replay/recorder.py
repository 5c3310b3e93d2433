"""Replay recorded answers in a session, or record new answers."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .. import forks, runtime
from ..backends.selector import WrapTransport
from ..errors import (
    MissingCredentialsError,
    NotRecordedError,
    PrivacyError,
    StorageError,
)
from ..i18n import _, mark
from ..settings import Cfai
from ..types.provenance import Provenance
from .fingerprint import RecordedRequest
from .lookup import Lookup
from .record_mode import IMPLICIT, RecordMode, RecordModeResolver

if TYPE_CHECKING:
    from ..workers_ai.client import WorkersAI
    from .cassette import Cassette
    from .contents import Contents

PAGE_HINT = mark(
    "Nothing was sent. In the browser, other questions need a class server (%cfai login) and "
    "%cfai replay auto."
)
LOCKED_HINT = mark(
    "Nothing was sent. cfai.toml allows only recorded answers: ask a recorded question, or ask "
    "the author of the course to record this one."
)


class Recorder(forks.ChildForkHook):
    """Records and replays the calls of one session.

    If a cell sends the same request several times, each answer is recorded, and the answers are
    replayed in the same order. `begin_cell` resets the count of identical requests.

    `get_notebook` returns the path to the notebook. `wall_clock` returns the current time in
    seconds since 1970.
    """

    def __init__(
        self,
        settings: Cfai,
        environ: Mapping[str, str],
        lock_dir: Path,
        get_notebook: Callable[[], str],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self.mode_resolver = RecordModeResolver(settings, environ, get_notebook)
        from .. import __version__

        self._version = __version__
        self._lock_dir = lock_dir
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._request_counts: Counter[tuple[Path, str]] = Counter()
        # The maximum number of times that a single cell has sent the same request.
        self._max_per_cell: Counter[tuple[Path, str]] = Counter()
        self._cassettes: dict[Path, Cassette] = {}
        self._reported_corruption = ""
        self._reported_path: Path | None = None  # of the only cassette in the folder
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Replace the locks, because a thread in the parent may have held them."""
        self._lock = threading.Lock()
        for cassette in self._cassettes.values():
            cassette.after_fork_in_child()

    # --- record mode

    @property
    def record_mode(self) -> RecordMode:
        """The current record mode.

        Raises:
            InvalidOptionError: The path to the cassette is unknown.
        """
        return self.mode_resolver.current

    def set_mode(self, record_mode: RecordMode) -> RecordMode:
        """Set the record mode of the session and return it with the cassette path resolved.

        Raises:
            StorageError: The cassette cannot be written.
            CoursePolicyError: The course's cfai.toml does not allow the mode.
            InvalidOptionError: The path to the cassette is unknown.
        """
        validated = self.mode_resolver.validate(record_mode)
        if validated.is_recording and validated.path:
            self.cassette(validated.path).check_writable()
        self.mode_resolver.override = record_mode
        self.begin_cell()
        self._max_per_cell.clear()
        return validated

    def begin_cell(self) -> None:
        """Reset the count of identical requests. Call this at the start of a cell."""
        self._request_counts.clear()

    def cassette(self, path: Path) -> "Cassette":
        """Return the cassette at the given path."""
        from .cassette import Cassette

        return self._cassettes.setdefault(path, Cassette(path, self._lock_dir))

    def find_full_model_name(self, short_name: str) -> str:
        """Return the full name of a recorded model, or "" if no model has this short name."""
        record_mode = self.record_mode
        if not record_mode.is_replaying or record_mode.path is None:
            return ""
        return self.cassette(record_mode.path).contents().find_full_model_name(short_name)

    # --- single requests

    def get_transport_wrapper(self, record_mode: RecordMode | None = None) -> WrapTransport | None:
        """Return a function that wraps a transport to record its responses.

        Return None if the mode does not record. If `record_mode` is None, the current mode
        applies.
        """
        if not (record_mode or self.mode_resolver.mode_or_off).is_recording:
            return None
        from .playback import RecordingTransport

        return RecordingTransport

    def resolve(
        self,
        request: RecordedRequest,
        record_mode: RecordMode,
        get_client: Callable[[], "WorkersAI"],
    ) -> tuple["WorkersAI", Lookup]:
        """Return the client that answers a request, and the result of looking up the request.

        If the request is recorded, the client plays back the recording. Otherwise, the live
        client is returned.

        Raises:
            MissingCredentialsError: The live client is needed, but credentials are missing.
            PrivacyError: The live client is needed, but requests must stay on this machine.
            NotRecordedError: The mode is "only", and the request is not recorded.
        """
        lookup = self._look_up(request, record_mode)
        if lookup.interaction is None:
            try:
                return get_client(), lookup
            except (MissingCredentialsError, PrivacyError) as error:
                if lookup.fallback is None:
                    raise lookup.add_miss_reason(error) from None
                lookup.interaction, lookup.capture = lookup.fallback, None
        from .playback import PlaybackClient

        return PlaybackClient(lookup.interaction, instant=record_mode.instant), lookup

    def has_recording(
        self, request: RecordedRequest, record_mode: RecordMode, index: int = 0
    ) -> bool:
        """Return whether a recording can answer a request that was already sent `index` times."""
        if (
            not record_mode.is_replaying
            or record_mode.path is None
            or (record_mode.mode == IMPLICIT and request.local_model)
        ):
            return False
        exact, alternative = self.cassette(record_mode.path).contents().lookup(request, index)
        is_live_possible = bool(request.local_model) or not self._settings.private
        return bool(
            exact or (alternative and not (record_mode.mode == "auto" and is_live_possible))
        )

    def refusal(self, request: RecordedRequest, record_mode: RecordMode) -> str:
        """Return the reason why "only" mode refuses a request, or "" if the request is allowed."""
        try:
            self.require_recording(request, record_mode)
        except NotRecordedError as error:
            return error.cause
        return ""

    def require_recording(self, request: RecordedRequest, record_mode: RecordMode) -> None:
        """Raise NotRecordedError if the mode is "only" and the request is not recorded."""
        path = record_mode.path if record_mode.mode == "only" else None
        if path and not self.has_recording(request, record_mode):
            cassette = self.cassette(path)
            contents = cassette.contents()
            raise self._not_recorded_error(
                self._miss_reason(cassette, contents, request),
                self._new_corruption_notes(cassette, contents),
            )

    def _look_up(self, request: RecordedRequest, record_mode: RecordMode) -> Lookup:
        now = datetime.fromtimestamp(self._wall_clock(), UTC).isoformat(timespec="seconds")
        lookup = Lookup(
            request, Provenance(request.fingerprint, request.parameters, now, self._version)
        )
        # The local model is free, so it answers live unless a mode is set explicitly.
        if record_mode.path is None or (record_mode.mode == IMPLICIT and request.local_model):
            return lookup
        with self._lock:
            return self._fill_lookup(lookup, record_mode, self.cassette(record_mode.path))

    def _fill_lookup(
        self, lookup: Lookup, record_mode: RecordMode, cassette: "Cassette"
    ) -> Lookup:
        contents = cassette.contents()
        index = self._next_index(cassette, lookup.request)
        lookup.notes = self._new_corruption_notes(cassette, contents)
        if record_mode.is_guessed and self._reported_path != cassette.path:
            self._reported_path = cassette.path
            note = _("Answers come from {file}, the only recording in this folder.")
            lookup.notes.append(note.format(file=cassette.path.name))
        if record_mode.is_replaying:
            lookup.interaction, lookup.fallback = contents.lookup(lookup.request, index)
            if record_mode.mode != "auto":
                lookup.interaction = lookup.interaction or lookup.fallback
            self._drop_unplayable(lookup)
            if lookup.interaction is None:
                lookup.explain_miss = lambda: self._miss_reason(cassette, contents, lookup.request)
        if record_mode.mode == "only" and lookup.interaction is None:
            raise self._not_recorded_error(lookup.explain_miss(), lookup.notes)
        if record_mode.is_recording and lookup.interaction is None:
            from .playback import Capture

            lookup.capture = Capture(time.monotonic)
            lookup.save_recording = lambda: self._save(
                lookup, index, cassette, refresh=record_mode.mode == "refresh"
            )
        return lookup

    def _drop_unplayable(self, lookup: Lookup) -> None:
        """Discard the recording if it cannot be played back, and add a note for the user."""
        from .playback import is_playable

        interaction = lookup.interaction or lookup.fallback
        if interaction is not None and not is_playable(interaction.responses):
            lookup.interaction = lookup.fallback = None
            lookup.notes.append(_("The recorded answer is damaged and was ignored."))

    def _next_index(self, cassette: "Cassette", request: RecordedRequest) -> int:
        key = (cassette.path, request.fingerprint)
        index = self._request_counts[key]
        self._request_counts[key] += 1
        self._max_per_cell[key] = max(self._max_per_cell[key], index + 1)
        return index

    def _new_corruption_notes(self, cassette: "Cassette", contents: "Contents") -> list[str]:
        """Return a list with a note on corrupt lines.

        The list is empty if no lines are corrupt, or if the note has not changed.
        """
        listed = "; ".join(contents.corruption_notes)
        note = ""
        if listed:
            note = _("{file} has damaged lines, which are skipped: {lines}.").format(
                file=cassette.path.name, lines=listed
            )
        is_new, self._reported_corruption = note != self._reported_corruption, note
        return [note] if note and is_new else []

    def _miss_reason(
        self, cassette: "Cassette", contents: "Contents", request: RecordedRequest
    ) -> str:
        from .mismatch import explain_mismatch

        if not cassette.exists():
            return _("{file} does not exist").format(file=cassette.path)
        difference = explain_mismatch(
            request, (interaction.request for interaction in contents.interactions)
        )
        if not difference:
            return _("{file} has no recording of this kind of request").format(
                file=cassette.path.name
            )
        return _("the closest recording in {file} differs: {difference}").format(
            file=cassette.path.name, difference=difference
        )

    def _not_recorded_error(self, miss_reason: str, notes: Sequence[str]) -> NotRecordedError:
        corruption_note = f" {notes[0]}" if notes else ""
        hint = NotRecordedError.default_hint
        if self.mode_resolver.is_locked:
            hint = LOCKED_HINT
        elif runtime.IS_BROWSER:
            hint = PAGE_HINT
        return NotRecordedError(
            _("This request is not recorded; {reason}").format(reason=miss_reason),
            f"{_(hint)}{corruption_note}",
        )

    # --- recording

    def _save(
        self, lookup: Lookup, index: int, cassette: "Cassette", *, refresh: bool
    ) -> list[str]:
        """Write a complete answer to the cassette, and return notes for the user.

        If the answer is not recorded, a note explains why.
        """
        from .interaction import Interaction
        from .lookup import interaction_reject_reason, reject_reason

        captured = lookup.capture.to_captured_call() if lookup.capture else None
        if captured is None:
            return lookup.notes
        today, version = lookup.provenance.asked_at[: len("2026-10-12")], lookup.provenance.version
        interaction = Interaction(
            lookup.request,
            index,
            today,
            version,
            captured.finish_reason,
            captured.usage,
            captured.responses,
        )
        reason = reject_reason(captured, lookup) or interaction_reject_reason(interaction)
        if reason:
            return [*lookup.notes, _("Not recorded: {reason}.").format(reason=reason)]
        # Keep repetitions that another cell of this session has recorded.
        request_count = self._max_per_cell[cassette.path, lookup.request.fingerprint]
        try:
            cassette.add(interaction, replace_from=request_count if refresh else None)
        except StorageError as error:
            return [*lookup.notes, _("Not recorded: {error}").format(error=error.format_line())]
        return lookup.notes

    def sort_cassettes(self) -> None:
        """Sort all cassettes used in this session. Skip cassettes that cannot be written."""
        for cassette in [*self._cassettes.values()]:
            with suppress(StorageError):
                cassette.sort()

    def close(self) -> None:
        """Sort the cassettes to which this process has appended lines."""
        for cassette in [*self._cassettes.values()]:
            cassette.close()
