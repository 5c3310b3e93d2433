"""Load, validate and save the settings (`%config Cfai`), and find the state folder."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from traitlets import (
    Bool,
    Bunch,
    CFloat,
    Dict,
    Enum,
    Float,
    HasTraits,
    Int,
    TraitError,
    Unicode,
    observe,
    validate,
)
from traitlets.config import Config, Configurable

from . import runtime, state_files
from .arguments import MAX_TEMPERATURE, MAX_TOKENS, find_closest, format_suggestions
from .course import NO_COURSE, CoursePolicy, find_course
from .errors import (
    CfaiError,
    CoursePolicyError,
    InvalidOptionError,
    PrivacyError,
    SetupError,
)
from .i18n import _, is_supported, list_languages, mark, ngettext, set_language
from .secret import call_without_traceback
from .texts import shorten

if TYPE_CHECKING:
    from .prompt.serialize import SizeLimits

DEFAULT_MODEL = "@cf/google/gemma-4-26b-a4b-it"
SETTINGS_FILE_NAME = "settings.toml"
FORMATS = ("markdown", "text", "raw", "code", "json", "html", "latex", "table")
RECORD_MODES = ("auto", "only", "refresh", "off")
HOME_VARIABLE = "CFAI_HOME"
MAX_TIMEOUT_SECONDS = 86_400.0  # one day
MAX_CAUSE_CHARS = 300  # limits an error's cause, which may quote a long value


def get_home_folder() -> Path:
    """Return the state folder: CFAI_HOME, or the user data folder that platformdirs returns.

    In a browser, the user data folder is loaded from the browser's storage.

    Raises:
        SetupError: The path can't be used as a folder.
    """
    return call_without_traceback(_resolve_home_folder)


def _resolve_home_folder() -> Path:
    env_value = os.environ.get(HOME_VARIABLE)
    if env_value:
        return _require_usable(_to_absolute_path(env_value), HOME_VARIABLE)
    from platformdirs import user_data_path

    folder = user_data_path("cfai", appauthor=False)
    if runtime.IS_BROWSER:
        from .browser_storage import mount

        mount(folder)
    return _require_usable(folder, _("The data folder"))


def _to_absolute_path(path_text: str) -> Path:
    """Return the path as an absolute path, independent of the working directory."""
    try:
        return Path(path_text).expanduser().absolute()
    except (OSError, RuntimeError) as error:  # unknown user or missing working directory
        raise SetupError(
            _("{variable} is {path}, which can't be resolved: {reason}").format(
                variable=HOME_VARIABLE, path=path_text, reason=state_files.describe_error(error)
            ),
            _("Set {variable} to the full path of a folder, or unset it.").format(
                variable=HOME_VARIABLE
            ),
        ) from None


def _require_usable(folder: Path, description: str) -> Path:
    unusable_reason = state_files.get_unusable_reason(folder)
    if unusable_reason:
        raise SetupError(
            _("{description} is {path}, which can't be used: {reason}").format(
                description=description, path=folder, reason=unusable_reason
            ),
            _("Set {variable} to the path of a folder, or unset it.").format(
                variable=HOME_VARIABLE
            ),
        )
    return folder


class LockedSettingError(CoursePolicyError, TraitError):
    """The course's cfai.toml does not allow the new value. The setting is unchanged."""


class InvalidSettingError(InvalidOptionError, TraitError):
    """The new value is not valid. The setting is unchanged."""


class FiniteFloat(Float[float, float]):
    """A float trait that rejects booleans, infinity and NaN."""

    info_text = "a finite number"

    def validate(self, obj: HasTraits, value: Any) -> Any:
        """Return the value as a float. Raises TraitError if it is not valid."""
        if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
            self.error(obj, value)
        return super().validate(obj, _as_float(value))


class FiniteCFloat(CFloat[float | None, Any]):
    """A float trait that accepts numeric strings and rejects booleans, infinity and NaN."""

    info_text = "a finite number"

    def validate(self, obj: HasTraits, value: Any) -> Any:
        """Return the value as a float. Raises TraitError if it is not valid."""
        if isinstance(value, bool):
            self.error(obj, value)
        number = super().validate(obj, _as_float(value))
        if number is None or not math.isfinite(number):
            self.error(obj, value)
        return number


class StrictInt(Int[int, int]):
    """An integer trait that rejects booleans."""

    def validate(self, obj: HasTraits, value: Any) -> Any:
        """Return the value. Raises TraitError if it is not valid."""
        if isinstance(value, bool):
            self.error(obj, value)
        return super().validate(obj, value)


def _as_float(value: Any) -> Any:
    """Convert an int to a float, or to infinity if it is too large; return other values as is."""
    if isinstance(value, int):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return value


class Cfai(Configurable):
    """Settings for the cfai magics."""

    # The course's policy, and the value and source of each setting that was set.
    course: CoursePolicy = NO_COURSE
    working_directory: Path = Path()  # of relative paths, also after a cell changes it
    origins: Mapping[str, tuple[Any, str]] = MappingProxyType({})

    model = Unicode(
        DEFAULT_MODEL,
        help=mark("Default model; the part of its name after the last slash is enough."),
    ).tag(config=True)
    system = Unicode("", help=mark("Default system prompt.")).tag(config=True)
    temperature = FiniteCFloat(
        None,
        allow_none=True,
        min=0.0,
        max=MAX_TEMPERATURE,
        help=mark("Default temperature; None uses the model's own default."),
    ).tag(config=True)
    max_tokens = StrictInt(
        2048, min=1, max=MAX_TOKENS, help=mark("Maximum number of tokens per answer.")
    ).tag(config=True)
    format = Enum(FORMATS, default_value="markdown", help=mark("Default format of answers.")).tag(
        config=True
    )
    table_rows = StrictInt(
        30, min=0, help=mark("Maximum number of rows of a table that {{…}} inserts into a prompt.")
    ).tag(config=True)
    value_characters = StrictInt(
        20_000,
        min=100,
        help=mark("Maximum number of characters of a value that {{…}} inserts into a prompt."),
    ).tag(config=True)
    confirm_neurons = FiniteFloat(
        1_000.0,
        min=0.0,
        help=mark("A map asks for confirmation if it may cost more than this many neurons."),
    ).tag(config=True)
    footer = Enum(
        ("short", "full", "off"),
        default_value="short",
        help=mark("Usage line below an answer."),
    ).tag(config=True)
    local = Unicode(
        "",
        help=mark('Local model to run on this machine: "small" or the path to a GGUF file.'),
    ).tag(config=True)
    gateway = Unicode(
        "", help=mark("Name of the AI Gateway to send requests through; empty: no gateway.")
    ).tag(config=True)
    metadata: "Dict[str, str | float | bool]" = Dict(
        help=mark("Metadata for the gateway's logs and spend limits, such as student and course.")
    ).tag(config=True)
    base_url = Unicode(
        "",
        help=mark(
            "URL, including /v1, of an OpenAI-compatible server to use instead of Workers AI."
        ),
    ).tag(config=True)
    class_server = Unicode(
        "",
        help=mark("URL, without /v1, of the class server that answers in place of your account."),
    ).tag(config=True)
    recording = Unicode(
        "",
        help=mark(
            "Record mode: auto, only, refresh or off, or MODE:PATH; empty: replay the recording "
            "next to the notebook, if there is one."
        ),
    ).tag(config=True)
    private = Bool(
        default_value=False,
        help=mark("Allow only the local model and recorded answers."),
    ).tag(config=True)
    warn_personal_data = Bool(
        default_value=True,
        help=mark("Warn before {{…}} sends e-mail addresses, names with grades or secrets."),
    ).tag(config=True)
    timeout = FiniteFloat(
        240.0,
        min=1.0,
        max=MAX_TIMEOUT_SECONDS,
        help=mark("Maximum number of seconds to wait for the next part of an answer."),
    ).tag(config=True)
    language = Unicode(
        "",
        help=mark(
            "Language of messages, such as zh-CN; empty: the language of JupyterLab or the system."
        ),
    ).tag(config=True)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a setting. Raises InvalidSettingError if the value is not valid for it."""
        try:
            super().__setattr__(name, value)
        except CfaiError:
            raise
        except TraitError as error:
            if name == "config":  # all settings of a file; the error names the invalid one
                raise
            raise InvalidSettingError(
                _("Can't set {name}: {reason}").format(
                    name=name, reason=shorten(str(error), MAX_CAUSE_CHARS)
                ),
                _("The setting is unchanged. %config Cfai lists all settings."),
            ) from None

    def update_config(self, config: Config) -> None:
        """Apply the settings in `config`, as `%config Cfai` does.

        A setting that can't be applied is removed from `config`, because IPython adds `config` to
        its own configuration, with which the extension may be loaded again.

        Raises:
            InvalidSettingError: A name or value is not valid.
            LockedSettingError: The course does not allow a value.
        """
        values = config.get("Cfai", {})
        for name in list(values):
            value = values.pop(name)
            if name not in self.trait_names(config=True):
                raise _unknown_setting_error(name)
            setattr(self, name, value)
            values[name] = value

    @validate("recording")
    def _validate_recording(self, proposal: Bunch) -> Any:
        value = proposal["value"]
        if value and value.partition(":")[0] not in RECORD_MODES:
            modes = ", ".join(RECORD_MODES)
            raise TraitError(
                _("recording is {value!r}; it must start with one of {modes}").format(
                    value=value, modes=modes
                )
            )
        return self._validate_with_course(proposal)

    @validate("language")
    def _validate_language(self, proposal: Bunch) -> Any:
        tag = proposal["value"]
        if tag and not is_supported(tag):
            raise TraitError(
                _("language is {value!r}; the languages are {languages}").format(
                    value=tag, languages=", ".join(("en", *list_languages()))
                )
            )
        return tag

    @observe("language")
    def _apply_language(self, change: Bunch) -> None:
        set_language("setting", change["new"])

    @validate("model")
    def _validate_model(self, proposal: Bunch) -> Any:
        if not proposal["value"].strip():
            raise TraitError(_("model is blank; it must name a model"))
        return self._validate_with_course(proposal)

    @validate("metadata")
    def _validate_metadata(self, proposal: Bunch) -> Any:
        from .workers_ai.gateway import parse_gateway_metadata

        try:
            return parse_gateway_metadata(proposal["value"])
        except InvalidOptionError as error:
            raise TraitError(error.cause) from None

    @validate(
        *("system", "temperature", "max_tokens", "local", "gateway", "base_url", "class_server"),
        *("private", "warn_personal_data"),
    )
    def _validate_with_course(self, proposal: Bunch) -> Any:
        try:
            self.course.check_setting(proposal["trait"].name, proposal["value"])
        except CoursePolicyError as error:
            raise LockedSettingError(error.cause, error.hint) from None
        return proposal["value"]

    @property
    def size_limits(self) -> "SizeLimits":
        """The size limits for values that `{{…}}` inserts into a prompt."""
        from .prompt.serialize import SizeLimits

        return SizeLimits(self.table_rows, self.value_characters)

    def is_locked(self, name: str) -> bool:
        """Return whether the course's cfai.toml locks a setting."""
        return name in self.course.locked

    def privacy_error(self) -> PrivacyError:
        """Return the error for a request that the `private` setting does not allow."""
        hints = [_("Nothing was sent. Use %cfai local, or ask a recorded question.")]
        if not self.is_locked("private"):
            hints.append(_("%config Cfai.private = False allows all requests."))
        hint = " ".join(hints)
        if self.get_origin("private") == str(self.course.path):
            return PrivacyError(
                _("cfai.toml allows only the local model and recorded answers"), hint
            )
        return PrivacyError(
            _("The setting private allows only the local model and recorded answers"), hint
        )

    def get_origin(self, name: str) -> str:
        """Return the source of a setting's current value, such as a file path or "this kernel".

        The returned string is in English. Translate it with `_` before showing it.
        """
        value = getattr(self, name)
        recorded_value, origin = self.origins.get(
            name, (self.traits()[name].default_value, mark("default"))
        )
        return origin if value == recorded_value else mark("this kernel")


def _unknown_setting_error(name: str) -> InvalidSettingError:
    suggestion = format_suggestions(find_closest(name, Cfai.class_trait_names(config=True)))
    hint = f"{suggestion} {_('%config Cfai lists all settings.')}".lstrip()
    return InvalidSettingError(_("There is no setting {name}").format(name=name), hint)


def load_settings(
    folder: Path, config: Config | None = None, working_directory: Path | None = None
) -> Cfai:
    """Load the settings from settings.toml, IPython's configuration and the course's cfai.toml.

    Later sources override earlier ones. cfai.toml is searched for only once, in the working
    directory and its parents. Its policy, and the folder of relative paths, stay the same after a
    cell changes the working directory.

    Raises:
        InvalidOptionError: One of the sources contains an invalid value.
    """
    working_directory = working_directory or Path.cwd()
    course = find_course(working_directory)
    ipython_settings = (config or Config()).get("Cfai", {})
    layers = (
        (read_settings_file(folder), str(folder / SETTINGS_FILE_NAME), _("Correct or delete it.")),
        (
            ipython_settings,
            mark("IPython's configuration"),
            _("Correct ipython_config.py; a value set with %config lasts until the kernel ends."),
        ),
        (course.settings, str(course.path), _("Correct it; nothing is sent until then.")),
    )
    merged = Config()
    origins: dict[str, tuple[Any, str]] = {}
    for values, source, fix_hint in layers:
        merged.merge(Config({"Cfai": dict(values)}))
        settings = _build_settings(merged, source, fix_hint)
        origins |= {name: (getattr(settings, name), source) for name in values}
    settings.course, settings.origins = course, origins
    settings.working_directory = working_directory
    return settings


def _build_settings(config: Config, source: str, fix_hint: str) -> Cfai:
    try:
        return Cfai(config=config)
    except TraitError as error:
        cause = (
            error.cause if isinstance(error, CfaiError) else shorten(str(error), MAX_CAUSE_CHARS)
        )
        raise InvalidOptionError(
            _("In {source}: {cause}").format(source=_(source), cause=cause), fix_hint
        ) from None
    except RecursionError:
        raise InvalidOptionError(
            _("In {source}: a value is nested too deeply").format(source=_(source)), fix_hint
        ) from None


def read_settings_file(folder: Path) -> dict[str, Any]:
    """Return the settings in the folder's settings.toml, or an empty dict if it is missing.

    Raises:
        InvalidOptionError: The file can't be read or contains an unknown setting.
    """
    path = folder / SETTINGS_FILE_NAME
    return _parse_settings(path, _read_settings_text(path))


def _read_settings_text(path: Path) -> str:
    state_files.restrict_folder(path.parent)
    state_files.restrict_file(path)
    try:
        return state_files.read_text(path)
    except state_files.MissingFileError:
        return ""
    except state_files.UnreadableFileError as reason:
        raise InvalidOptionError(
            _("{path} can't be read: {reason}").format(path=path, reason=reason),
            _("Correct or delete it."),
        ) from None


def _parse_settings(path: Path, text: str) -> dict[str, Any]:
    if not text:
        return {}
    import tomllib

    try:
        values = tomllib.loads(text)
    except ValueError as error:
        cause = _("{path} can't be read: {reason}").format(
            path=path, reason=shorten(str(error), MAX_CAUSE_CHARS)
        )
        raise InvalidOptionError(cause, _("Correct or delete it.")) from None
    except RecursionError:
        raise InvalidOptionError(
            _("{path} can't be read: it is nested too deeply").format(path=path),
            _("Correct or delete it."),
        ) from None
    unknown_names = sorted(set(values) - set(Cfai.class_trait_names(config=True)))
    if unknown_names:
        raise InvalidOptionError(
            ngettext(
                "{path} has an unknown setting: {names}",
                "{path} has unknown settings: {names}",
                len(unknown_names),
            ).format(path=path, names=", ".join(unknown_names)),
            _("%config Cfai lists all settings."),
        )
    return values


def update_settings_file(folder: Path, changes: Mapping[str, str | float | None]) -> None:
    """Merge changes into the folder's settings.toml. A value of None removes the setting.

    The comments and the order of the file are kept.

    Raises:
        InvalidOptionError: The file can't be read or contains an unknown setting.
        SetupError: The file can't be written.
    """
    import tomlkit

    path = folder / SETTINGS_FILE_NAME
    text = _read_settings_text(path)
    _parse_settings(path, text)
    document = tomlkit.parse(text)
    for name, value in changes.items():
        if value is None:
            document.pop(name, None)
        else:
            document[name] = value
    try:
        state_files.write_text(path, tomlkit.dumps(document))
    except OSError as error:
        raise SetupError(
            _("{path} can't be written: {reason}").format(
                path=folder / SETTINGS_FILE_NAME, reason=error.strerror
            ),
            _("Set {variable} to a writable folder.").format(variable=HOME_VARIABLE),
        ) from None
