"""Resolve the record mode and cassette path from the command, environment and settings."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from .. import runtime
from ..errors import CoursePolicyError, InvalidOptionError
from ..i18n import _, mark
from ..paths import parse_user_path
from ..settings import RECORD_MODES, Cfai

MODE_VARIABLE = "CFAI_REPLAY"
INSTANT_VARIABLE = "CFAI_REPLAY_INSTANT"
BLOCK_SOURCE = "recording()"
CASSETTE_SUFFIX = ".cfai.jsonl"
IMPLICIT = "found"  # no mode is set, and there is a cassette next to the notebook
DESCRIPTIONS = {
    "auto": mark("recorded answers are replayed; other requests are sent and recorded"),
    "only": mark("recorded answers are replayed; no requests are sent"),
    "refresh": mark("all requests are sent, and new answers replace recorded ones"),
    "off": mark("nothing is recorded or replayed"),
    IMPLICIT: mark("recorded answers are replayed; nothing is recorded"),
}


class RecordMode(NamedTuple):
    """A record mode, its cassette path, and where the mode was set.

    Attributes:
        mode: One of RECORD_MODES, or IMPLICIT.
        path: Path to the cassette, or None for the cassette next to the notebook.
        source: Where the mode was set, as shown to the user.
        instant: Whether answers are replayed without the recorded delays.
        is_guessed: Whether the path is the only cassette in the folder of an unknown notebook.
    """

    mode: str
    path: Path | None = None
    source: str = ""
    instant: bool = False
    is_guessed: bool = False

    @property
    def description(self) -> str:
        """A description of the mode. It starts with the mode's name, except for IMPLICIT."""
        description = _(DESCRIPTIONS[self.mode])
        return description if self.mode == IMPLICIT else f"{self.mode}: {description}"

    @property
    def is_replaying(self) -> bool:
        """Whether recorded answers are replayed."""
        return self.mode in {"auto", "only", IMPLICIT}

    @property
    def is_recording(self) -> bool:
        """Whether new answers are recorded."""
        return self.mode in {"auto", "refresh"}


OFF = RecordMode("off", source=mark("default"))


def default_cassette_path(notebook: str, folder: Path = Path()) -> Path | None:
    """Return the default cassette path for a notebook, or None if the notebook is not found.

    A notebook is not found if it was moved after its kernel started. Browsers do not tell the
    kernel the name of its notebook: there, the only cassette in `folder` is the default.
    """
    if not notebook and runtime.IS_BROWSER:
        cassettes = list(folder.glob(f"*{CASSETTE_SUFFIX}"))
        return cassettes[0] if len(cassettes) == 1 else None
    path = Path(notebook)
    return path.with_suffix(CASSETTE_SUFFIX) if notebook and path.is_file() else None


def parse_mode(text: str, source: str, folder: Path) -> RecordMode:
    """Parse a record mode in the format MODE or MODE:PATH.

    Args:
        text: The text to parse.
        source: Name of the setting or variable that contains the text.
        folder: Folder of a relative path.

    Raises:
        InvalidOptionError: The mode does not exist, or the path is invalid.
    """
    mode, _separator, path = text.partition(":")
    if mode not in RECORD_MODES:
        raise InvalidOptionError(
            _("{source} is {value}, not one of {modes}").format(
                source=source, value=repr(text), modes=", ".join(RECORD_MODES)
            ),
            _("Examples: {example}, {example_with_path}").format(
                example=f"{source}=only",
                example_with_path=f"{source}=only:lesson{CASSETTE_SUFFIX}",
            ),
        )
    return RecordMode(mode, folder / parse_user_path(path) if path else None, source)


def resolve_mode(
    override: RecordMode | None,
    environ: Mapping[str, str],
    configured: RecordMode | None,
    notebook: str,
    *,
    folder: Path = Path(),
    is_locked: bool = False,
) -> RecordMode:
    """Return the record mode set by the command, the environment or the settings, in that order.

    If no mode is set, return IMPLICIT if there is a cassette next to the notebook (in a browser,
    one cassette in the folder), and OFF otherwise.

    Args:
        override: Mode set by a command, or None.
        environ: Environment variables.
        configured: Mode in the settings, or None. The "auto" and "refresh" modes are turned off if
            the path to the cassette is unknown.
        notebook: Path to the notebook, or "" if it is unknown.
        folder: Folder of a relative path in the environment, and of a notebook in a browser.
        is_locked: Whether the mode in the settings overrides commands and the environment.

    Raises:
        InvalidOptionError: The mode needs a cassette path, and none is known.
    """
    env_text = environ.get(MODE_VARIABLE, "")
    record_mode = override or (parse_mode(env_text, MODE_VARIABLE, folder) if env_text else None)
    if is_locked and configured is not None:
        record_mode, configured = None, _apply_lock(configured, record_mode)
    if record_mode is None and configured is not None:
        record_mode = _off_without_notebook(configured, notebook, folder)
    if record_mode is None:
        path = default_cassette_path(notebook, folder)
        if path is None or not path.is_file():
            return OFF._replace(source=_(OFF.source))
        source = (
            _("the file is next to the notebook")
            if notebook
            else _("the only recording in the folder")
        )
        record_mode = RecordMode(IMPLICIT, path, source, is_guessed=not notebook)
    instant = bool(environ.get(INSTANT_VARIABLE))
    record_mode = _with_path(record_mode, notebook, folder)
    return record_mode._replace(instant=record_mode.instant or instant)


def _apply_lock(locked_mode: RecordMode, override: RecordMode | None) -> RecordMode:
    """Return the locked mode, with `path` and `instant` from the override where allowed."""
    if override is None:
        return locked_mode
    names_file = locked_mode.path is None and override.mode == locked_mode.mode
    return locked_mode._replace(
        path=override.path if names_file else locked_mode.path,
        instant=override.instant,
    )


def _off_without_notebook(record_mode: RecordMode, notebook: str, folder: Path) -> RecordMode:
    if (
        record_mode.mode in {"only", "off"}
        or record_mode.path is not None
        or default_cassette_path(notebook, folder) is not None
    ):
        return record_mode
    return record_mode._replace(
        mode="off",
        source=_("{source} sets {mode} for notebooks only").format(
            source=record_mode.source, mode=record_mode.mode
        ),
    )


def _with_path(record_mode: RecordMode, notebook: str, folder: Path) -> RecordMode:
    if record_mode.mode == "off" or record_mode.path is not None:
        return record_mode
    path = default_cassette_path(notebook, folder)
    if path is None:
        raise _missing_path_error(record_mode.mode, Path(notebook).name)
    return record_mode._replace(path=path, is_guessed=not notebook)


def _missing_path_error(mode: str, notebook: str) -> InvalidOptionError:
    """Return the error for a notebook that is unknown or was renamed after its kernel started."""
    cassette = f"lesson{CASSETTE_SUFFIX}"
    examples = {
        "command": f"%cfai replay {mode} {cassette}",
        "variable": f"{MODE_VARIABLE}={mode}:{cassette}",
    }
    if notebook:
        return InvalidOptionError(
            _(
                "{notebook} was renamed or moved after its kernel started, so the path to its "
                "recording is unknown"
            ).format(notebook=notebook),
            _("Restart the kernel, or specify a path: {command}, or {variable}.").format(
                **examples
            ),
        )
    return InvalidOptionError(
        _("The notebook's path is unknown, so there is no default path for the recording"),
        _("Specify a path: {command}, or {variable}.").format(**examples),
    )


class RecordModeResolver:
    """Resolves the record mode of one session.

    `override` is the mode set by a command, or None. If `is_locked` is true, the course's
    cfai.toml locks the mode, which then takes precedence over all other modes.
    """

    def __init__(
        self, settings: Cfai, environ: Mapping[str, str], get_notebook: Callable[[], str]
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._get_notebook = get_notebook
        self._is_paused = False
        self._block_modes: dict[object, RecordMode] = {}  # of the open blocks, newest last
        self.is_locked = "recording" in settings.course.locked
        self.override: RecordMode | None = None

    @property
    def current(self) -> RecordMode:
        """The current record mode.

        Raises:
            InvalidOptionError: The path to the cassette is unknown.
        """
        if self._is_paused:
            return OFF
        block_modes = list(self._block_modes.values())
        return resolve_mode(
            block_modes[-1] if block_modes else self.override,
            self._environ,
            self._configured_mode(),
            self._get_notebook(),
            folder=self._settings.working_directory,
            is_locked=self.is_locked,
        )

    def _configured_mode(self) -> RecordMode | None:
        text = self._settings.recording
        if not text:
            return None
        origin = _(self._settings.get_origin("recording"))
        return parse_mode(text, origin, self._settings.working_directory)

    @property
    def mode_or_off(self) -> RecordMode:
        """The current record mode, or OFF if the path to its cassette is unknown."""
        try:
            return self.current
        except InvalidOptionError:
            return OFF

    def is_network_allowed(self) -> bool:
        """Return whether live calls are allowed. Only the "only" mode prohibits them."""
        return self.mode_or_off.mode != "only"

    def has_recordings(self) -> bool:
        """Return whether answers are replayed from an existing cassette."""
        record_mode = self.mode_or_off
        return (
            record_mode.is_replaying
            and record_mode.path is not None
            and record_mode.path.is_file()
        )

    def describe(self) -> tuple[str, str]:
        """Return a description of the current mode and path, and where the mode was set."""
        try:
            record_mode = self.current
        except InvalidOptionError as error:
            return error.format_line(), ""
        path_note = f" ({record_mode.path})" if record_mode.path else ""
        return f"{record_mode.description}{path_note}", record_mode.source

    def validate(self, record_mode: RecordMode) -> RecordMode:
        """Check a record mode set by a command, and return it with the cassette path resolved.

        Raises:
            CoursePolicyError: The course's cfai.toml does not allow the mode.
            InvalidOptionError: The path to the cassette is unknown.
        """
        text = f"{record_mode.mode}:{record_mode.path}" if record_mode.path else record_mode.mode
        self._settings.course.check_setting("recording", text)
        return resolve_mode(
            record_mode,
            self._environ,
            None,
            self._get_notebook(),
            folder=self._settings.working_directory,
        )

    def resolve_for_block(self, path: Path | None, mode: str = "") -> RecordMode:
        """Return the record mode of a `with recording(path, mode=mode)` block.

        Without `mode`, the command, the environment and the settings set the mode, in that
        order, and "auto" is the default. A path that they set is used only if `path` is None.

        Raises:
            CoursePolicyError: The course's cfai.toml does not allow the mode.
            InvalidOptionError: The mode does not exist, or the path is unknown.
        """
        configured = self._configured_mode()
        is_locked = configured is not None and self.is_locked
        env_text = self._environ.get(MODE_VARIABLE, "")
        folder = self._settings.working_directory
        if mode:
            text = f"{mode}:{path}" if path else mode
            if mode not in RECORD_MODES:
                raise InvalidOptionError(
                    _("{source} is {value}, not one of {modes}").format(
                        source="mode", value=repr(mode), modes=", ".join(RECORD_MODES)
                    ),
                    _("Example: {example}").format(example='recording(path, mode="only")'),
                )
            self._settings.course.check_setting("recording", text)
            requested = RecordMode(mode, source=BLOCK_SOURCE)
        else:
            requested = (
                (configured if is_locked else None)
                or self.override
                or (parse_mode(env_text, MODE_VARIABLE, folder) if env_text else None)
                or configured
                or RecordMode("auto", source=BLOCK_SOURCE)
            )
        requested = requested._replace(path=path or requested.path)
        notebook = self._get_notebook()
        return resolve_mode(
            requested, self._environ, configured, notebook, folder=folder, is_locked=is_locked
        )

    @contextmanager
    def use_for_block(self, record_mode: RecordMode) -> Iterator[None]:
        """Use a record mode in the `with` block, in all threads. The newest block applies."""
        block = object()  # the blocks of several threads may end in any order
        self._block_modes[block] = record_mode
        try:
            yield
        finally:
            del self._block_modes[block]

    def check_network_allowed(self) -> None:
        """Raise CoursePolicyError if the course's cfai.toml locks the mode to "only"."""
        if self.is_locked and self.current.mode == "only":
            raise CoursePolicyError(_("cfai.toml allows only recorded answers"))

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Turn off recording and replay within the `with` block."""
        was_paused, self._is_paused = self._is_paused, True
        try:
            yield
        finally:
            self._is_paused = was_paused
