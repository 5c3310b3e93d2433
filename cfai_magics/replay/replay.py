"""One session's recordings: finds the answer to a question, or listens to it and keeps it."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .. import forks
from ..errors import NoCredentials, NotRecorded, StoreError
from ..settings import Cfai
from ..values.provenance import Origin
from .asked import Asked
from .choice import Choice
from .look import Look, unfit, untrue
from .nearest import changed
from .record import Record
from .shelf import Contents, Shelf
from .way import FOUND, Way

if TYPE_CHECKING:
    import httpx

    from ..workers_ai import WorkersAI

Wrap = Callable[["httpx.BaseTransport | None"], "httpx.BaseTransport"]


class Replay(forks.InChild):
    """What one session records and replays. `notebook` tells the path of its notebook.

    A question asked several times in one cell is recorded and replayed as often, in order;
    `begin_cell` says where that counting begins anew. `wall_clock` gives seconds since 1970.
    """

    def __init__(
        self,
        settings: Cfai,
        environ: Mapping[str, str],
        locks: Path,
        notebook: Callable[[], str],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.choice = Choice(settings, environ, notebook)
        self._locks = locks
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._asked: Counter[tuple[Path, str]] = Counter()
        self._most: Counter[tuple[Path, str]] = Counter()  # asked in one cell, of all so far
        self._shelves: dict[Path, Shelf] = {}
        self._told: Contents | None = None
        forks.register(self)

    def in_child(self) -> None:
        """Begin with a lock that no thread holds."""
        self._lock = threading.Lock()

    # --- which way

    @property
    def way(self) -> Way:
        """What holds now; BadOption where it needs a file that nobody names."""
        return self.choice.way

    def choose(self, way: Way) -> Way:
        """Let this hold for the session; return it with its file. StoreError where it can't."""
        chosen = self.choice.possible(way)
        if chosen.records and chosen.path:
            self.shelf(chosen.path).check_writable()
        self.choice.said = way
        self.begin_cell()
        self._most.clear()
        return chosen

    def begin_cell(self) -> None:
        """Count the same question from its first answer on again."""
        self._asked.clear()

    def shelf(self, path: Path) -> Shelf:
        """Return the file of recordings at a path."""
        return self._shelves.setdefault(path, Shelf(path, self._locks))

    def model(self, name: str) -> str:
        """Return the full name of a recorded model that a short one stands for; or nothing."""
        way = self.way
        if not way.replays or way.path is None:
            return ""
        names = {record.asked.model for record in self.shelf(way.path).contents().records}
        return next((each for each in sorted(names) if each.rpartition("/")[2] == name), "")

    # --- one question

    def wrap(self) -> Wrap | None:
        """Return what goes round the transport of who is asked, so that answers can be kept."""
        if not self.choice.settled.records:
            return None
        from .transport import ListeningTransport

        return ListeningTransport

    def answering(
        self, asked: Asked, client: Callable[[], "WorkersAI"]
    ) -> tuple["WorkersAI", Look]:
        """Return who answers a question, a recording or else the client, and what is known of it.

        Raises NotRecorded where only a recording may answer.
        """
        look = self._look(asked)
        if look.record is None:
            try:
                return client(), look
            except NoCredentials as error:
                if look.fallback is None:
                    raise look.explained(error) from None
                look.record, look.take = look.fallback, None
        return self._player(look.record), look

    def knows(self, asked: Asked, nth: int = 0) -> bool:
        """Whether a recording would answer a question that was asked so often before."""
        way = self.way
        if not way.replays or way.path is None or (way.mode == FOUND and asked.local):
            return False
        exact, other = self.shelf(way.path).contents().chosen(asked, nth)
        return bool(exact or (other and way.mode != "auto"))

    def expect(self, asked: Asked) -> None:
        """Raise NotRecorded where only recordings may answer, and none answers this."""
        way = self.way
        if way.mode == "only" and way.path and not self.knows(asked):
            shelf = self.shelf(way.path)
            contents = shelf.contents()
            raise _not_recorded(
                self._missed(shelf, contents, asked), self._damage(shelf, contents)
            )

    def _look(self, asked: Asked) -> Look:
        from .. import __version__

        now = datetime.fromtimestamp(self._wall_clock(), UTC).isoformat(timespec="seconds")
        look = Look(asked, Origin(asked.key, asked.parameters, now, __version__))
        way = self.way
        # A model on this machine costs nothing: unless somebody says otherwise, it is asked.
        if way.path is None or (way.mode == FOUND and asked.local):
            return look
        with self._lock:
            return self._found(look, way, self.shelf(way.path))

    def _found(self, look: Look, way: Way, shelf: Shelf) -> Look:
        contents = shelf.contents()
        nth = self._counted(shelf, look.asked)
        look.notes = self._damage(shelf, contents)
        if way.replays:
            look.record, look.fallback = contents.chosen(look.asked, nth)
            if way.mode != "auto":
                look.record = look.record or look.fallback
            self._check(look)
            look.missed = "" if look.record else self._missed(shelf, contents, look.asked)
        if way.mode == "only" and look.record is None:
            raise _not_recorded(look.missed, look.notes)
        if way.records and look.record is None:
            from .heard import Take

            look.take = Take(time.monotonic)
            look.keep = lambda: self._keep(look, nth, shelf, refresh=way.mode == "refresh")
        return look

    def _check(self, look: Look) -> None:
        """Do without a recorded answer that can't be played."""
        from .playing import playable

        chosen = look.record or look.fallback
        if chosen is not None and not playable(chosen.replies):
            look.record = look.fallback = None
            look.notes.append("The recorded answer is damaged, and was left as it is.")

    def _counted(self, shelf: Shelf, asked: Asked) -> int:
        place = (shelf.path, asked.key)
        nth = self._asked[place]
        self._asked[place] += 1
        self._most[place] = max(self._most[place], nth + 1)
        return nth

    def _damage(self, shelf: Shelf, contents: Contents) -> list[str]:
        """Return a line about damaged ones, once for each state of the file."""
        if contents is self._told or not contents.damaged:
            return []
        self._told = contents
        listed = "; ".join(contents.damaged)
        return [f"In {shelf.path.name} {listed}: skipped, and left as it is."]

    def _missed(self, shelf: Shelf, contents: Contents, asked: Asked) -> str:
        if not shelf.exists():
            return f"there is no {shelf.path}"
        other = changed(asked, (record.asked for record in contents.records))
        if not other:
            return f"{shelf.path.name} holds no question of this kind"
        return f"nearest in {shelf.path.name}: {other}"

    # --- keeping

    def _keep(self, look: Look, nth: int, shelf: Shelf, *, refresh: bool) -> list[str]:
        """Put an answer that came to its end into the file; return why not, if not."""
        kept = look.take.kept() if look.take else None
        if kept is None:
            return look.notes
        today, version = look.origin.asked[: len("2026-10-12")], look.origin.version
        record = Record(look.asked, nth, today, version, kept.finish, kept.usage, kept.replies)
        trouble = untrue(kept, look) or unfit(record)
        if trouble:
            return [*look.notes, f"Not recorded: {trouble}."]
        # What this session asked more often in another cell has just been recorded anew.
        asked = self._most[shelf.path, look.asked.key]
        try:
            shelf.add(record, replacing=asked if refresh else None)
        except StoreError as error:
            return [*look.notes, f"Not recorded: {error}"]
        return look.notes

    # --- playing

    def _player(self, record: Record) -> "WorkersAI":
        """Return a client that gets its replies from the recording alone."""
        from .player import Player

        return Player(record, instant=self.way.instant)


def _not_recorded(missed: str, notes: Sequence[str]) -> NotRecorded:
    damaged = f" {notes[0]}" if notes else ""
    return NotRecorded(
        f"This question is not recorded; {missed}", f"{NotRecorded.default_hint}{damaged}"
    )
