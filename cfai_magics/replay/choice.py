"""Which way of recording holds for one session: a command's, the environment's, the settings'."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from ..errors import BadOption, CourseRule
from ..settings import Cfai
from .way import OFF, Way, found, written


class Choice:
    """What one session does with recordings; `said` is what a command chose, if one did.

    What a course's file locks holds against all others.
    """

    def __init__(
        self, settings: Cfai, environ: Mapping[str, str], notebook: Callable[[], str]
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._notebook = notebook
        self._paused = False
        self.said: Way | None = None

    @property
    def way(self) -> Way:
        """What holds now; BadOption where it needs a file that nobody names."""
        if self._paused:
            return OFF
        kept, notebook = self._kept(), self._notebook()
        return found(self.said, self._environ, kept, notebook, locked=self._is_locked)

    def _kept(self) -> Way | None:
        """Return what the settings say."""
        text = self._settings.recording
        return written(text, self._settings.origin("recording")) if text else None

    @property
    def _is_locked(self) -> bool:
        return "recording" in self._settings.course.locked

    @property
    def settled(self) -> Way:
        """What holds now; nothing where that lacks a file."""
        try:
            return self.way
        except BadOption:
            return OFF

    def asks(self) -> bool:
        """Whether anything but a recording may answer."""
        return self.settled.mode != "only"

    def holds_answers(self) -> bool:
        """Whether there is a recording whose answers are used."""
        way = self.settled
        return way.replays and way.path is not None and way.path.is_file()

    def told(self) -> tuple[str, str]:
        """Return what holds, and who said so."""
        try:
            way = self.way
        except BadOption as error:
            return str(error), ""
        where = f"; {way.path}" if way.path else ""
        return f"{way.words}{where}", way.source

    def possible(self, way: Way) -> Way:
        """Return a way that a command would choose, with its file; CourseRule where it may not."""
        text = f"{way.mode}:{way.path}" if way.path else way.mode
        self._settings.course.check_setting("recording", text)
        return found(way, self._environ, None, self._notebook())

    def check_asking(self) -> None:
        """Raise CourseRule where the course's file lets recordings alone answer."""
        if self._is_locked and self.way.mode == "only":
            raise CourseRule("The course's file locks recording at only: nothing is asked")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Record and replay nothing meanwhile."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before
