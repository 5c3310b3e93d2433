"""Load, validate and save the settings (`%config Cfai`), and find the folder for state."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from traitlets import (
    Bunch,
    CFloat,
    Dict,
    Enum,
    Float,
    HasTraits,
    Int,
    TraitError,
    Unicode,
    validate,
)
from traitlets.config import Config, Configurable

from . import state_files
from .arguments import MAX_TEMPERATURE
from .course import NO_COURSE, CoursePolicy, find_course
from .errors import CfaiError, CoursePolicyError, InvalidOptionError, SetupError
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
MAX_CAUSE_CHARS = 300  # of an error's cause, which may quote a value of any length


def get_home_folder() -> Path:
    """Return the folder for all state: CFAI_HOME, or platformdirs' user data folder of "cfai".

    Raises SetupError if that path cannot be a folder.
    """
    return call_without_traceback(_resolve_home_folder)


def _resolve_home_folder() -> Path:
    env_value = os.environ.get(HOME_VARIABLE)
    if env_value:
        return _require_usable(_to_absolute_path(env_value), HOME_VARIABLE)
    from platformdirs import user_data_path

    return _require_usable(user_data_path("cfai", appauthor=False), "The folder for state")


def _to_absolute_path(path_text: str) -> Path:
    """Return the absolute path, so that it does not depend on the working directory."""
    try:
        return Path(path_text).expanduser().absolute()
    except (OSError, RuntimeError) as error:  # no such user, no working directory
        raise SetupError(
            f"{HOME_VARIABLE} is {path_text}, which cannot be resolved: "
            f"{state_files.describe_error(error)}",
            f"Set {HOME_VARIABLE} to the full path of a folder, or unset it.",
        ) from None


def _require_usable(folder: Path, description: str) -> Path:
    unusable_reason = state_files.get_unusable_reason(folder)
    if unusable_reason:
        raise SetupError(
            f"{description} is {folder}, which cannot be used: {unusable_reason}",
            f"Set {HOME_VARIABLE} to the path of a folder, or unset it.",
        )
    return folder


class LockedSettingError(CoursePolicyError, TraitError):
    """The course's cfai.toml does not allow the new value; the setting is unchanged."""


class InvalidSettingError(InvalidOptionError, TraitError):
    """The new value is not valid for the setting; the setting is unchanged."""


class FiniteFloat(Float[float, float]):
    """A float trait that rejects booleans, infinity and NaN."""

    info_text = "a finite number"

    def validate(self, obj: HasTraits, value: Any) -> Any:
        """Return the value as a float; TraitError if it is not valid."""
        if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
            self.error(obj, value)
        return super().validate(obj, _as_float(value))


class FiniteCFloat(CFloat[float | None, Any]):
    """A float trait that also takes numeric text and rejects booleans, infinity and NaN."""

    info_text = "a finite number"

    def validate(self, obj: HasTraits, value: Any) -> Any:
        """Return the value as a float; TraitError if it is not valid."""
        if isinstance(value, bool):
            self.error(obj, value)
        number = super().validate(obj, _as_float(value))
        if number is None or not math.isfinite(number):
            self.error(obj, value)
        return number


class StrictInt(Int[int, int]):
    """An integer trait that rejects booleans."""

    def validate(self, obj: HasTraits, value: Any) -> Any:
        """Return the value; TraitError if it is not valid."""
        if isinstance(value, bool):
            self.error(obj, value)
        return super().validate(obj, value)


def _as_float(value: Any) -> Any:
    """Return an int as a float, or infinity if it is too large; other values unchanged."""
    if isinstance(value, int):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return value


class Cfai(Configurable):
    """Ask Cloudflare Workers AI from a notebook cell."""

    # The course's policy, and the value and source of each setting that is not the default.
    course: CoursePolicy = NO_COURSE
    origins: Mapping[str, tuple[Any, str]] = MappingProxyType({})

    model = Unicode(
        DEFAULT_MODEL, help="Model asked where a cell names none; a short name will do."
    ).tag(config=True)
    system = Unicode("", help="System prompt sent where a cell gives none.").tag(config=True)
    temperature = FiniteCFloat(
        None,
        allow_none=True,
        min=0.0,
        max=MAX_TEMPERATURE,
        help="Temperature sent where a cell gives none; None sends none.",
    ).tag(config=True)
    max_tokens = StrictInt(2048, min=1, help="Most tokens an answer may have.").tag(config=True)
    format = Enum(FORMATS, default_value="markdown", help="Form of answers.").tag(config=True)
    table_rows = StrictInt(
        30, min=0, help="Most rows of a table that {{…}} puts into a prompt."
    ).tag(config=True)
    value_characters = StrictInt(
        20_000, min=100, help="Most characters of one value that {{…}} puts into a prompt."
    ).tag(config=True)
    confirm_neurons = FiniteFloat(
        1_000.0, min=0.0, help="Neurons that a map may cost at most without being confirmed."
    ).tag(config=True)
    footer = Enum(
        ("full", "short", "off"), default_value="full", help="The line under an answer."
    ).tag(config=True)
    local = Unicode(
        "", help='"small" or a GGUF file\'s path: answer from that model on this machine.'
    ).tag(config=True)
    gateway = Unicode(
        "", help="AI Gateway of the account through which questions go; empty is directly."
    ).tag(config=True)
    metadata: "Dict[str, str | float | bool]" = Dict(
        help="What that gateway counts and limits by: for example student and course."
    ).tag(config=True)
    base_url = Unicode(
        "", help="Address of another OpenAI-compatible server that answers instead, with its /v1."
    ).tag(config=True)
    recording = Unicode(
        "",
        help="auto, only, refresh or off, or MODE:PATH; where it is empty, a recording that lies "
        "beside the notebook is replayed.",
    ).tag(config=True)
    timeout = FiniteFloat(
        240.0,
        min=1.0,
        max=MAX_TIMEOUT_SECONDS,
        help="Seconds to wait for the next piece of an answer.",
    ).tag(config=True)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a setting; raises InvalidSettingError if the value is not valid for it."""
        try:
            super().__setattr__(name, value)
        except CfaiError:
            raise
        except TraitError as error:
            raise InvalidSettingError(
                f"{name} cannot be set: {shorten(str(error), MAX_CAUSE_CHARS)}",
                "%config Cfai shows all settings; this one stays as it was.",
            ) from None

    @validate("recording")
    def _validate_recording(self, proposal: Bunch) -> Any:
        value = proposal["value"]
        if value and value.partition(":")[0] not in RECORD_MODES:
            modes = ", ".join(RECORD_MODES)
            raise TraitError(f"recording is {value!r}, which begins with none of {modes}")
        return self._validate_with_course(proposal)

    @validate("model", "system", "temperature", "max_tokens", "local", "gateway", "base_url")
    def _validate_with_course(self, proposal: Bunch) -> Any:
        try:
            self.course.check_setting(proposal["trait"].name, proposal["value"])
        except CoursePolicyError as error:
            raise LockedSettingError(error.cause, error.hint) from None
        return proposal["value"]

    @property
    def size_limits(self) -> "SizeLimits":
        """The most of a value that is sent for a `{{…}}`."""
        from .prompt.serialize import SizeLimits

        return SizeLimits(self.table_rows, self.value_characters)

    def get_origin(self, name: str) -> str:
        """Return the source of a setting's current value: a file, "default" or "this kernel"."""
        value = getattr(self, name)
        recorded_value, origin = self.origins.get(
            name, (self.traits()[name].default_value, "default")
        )
        return origin if value == recorded_value else "this kernel"


def load_settings(
    folder: Path, config: Config | None = None, working_directory: Path | None = None
) -> Cfai:
    """Return the settings from settings.toml, IPython's configuration and the course's cfai.toml.

    Each source overrides those before it. The course's file is searched for once, in the working
    directory and its parents, so that its policy still applies after a cell changes the
    directory. Raises InvalidOptionError if a value in one of them is not valid.
    """
    course = find_course(working_directory or Path.cwd())
    ipython_settings = (config or Config()).get("Cfai", {})
    layers = (
        (read_settings_file(folder), str(folder / SETTINGS_FILE_NAME), "Correct or delete it."),
        (
            ipython_settings,
            "IPython's configuration",
            "Correct ipython_config.py; what %config set ends with the kernel.",
        ),
        (course.settings, str(course.path), "Correct it; nothing is sent before."),
    )
    merged = Config()
    origins: dict[str, tuple[Any, str]] = {}
    for values, source, fix_hint in layers:
        merged.merge(Config({"Cfai": dict(values)}))
        settings = _build_settings(merged, source, fix_hint)
        origins |= {name: (getattr(settings, name), source) for name in values}
    settings.course, settings.origins = course, origins
    return settings


def _build_settings(config: Config, source: str, fix_hint: str) -> Cfai:
    try:
        return Cfai(config=config)
    except TraitError as error:
        cause = (
            error.cause if isinstance(error, CfaiError) else shorten(str(error), MAX_CAUSE_CHARS)
        )
        raise InvalidOptionError(f"In {source}: {cause}", fix_hint) from None
    except RecursionError:
        raise InvalidOptionError(f"In {source}: a value is nested too deeply", fix_hint) from None


def read_settings_file(folder: Path) -> dict[str, Any]:
    """Return the settings in the folder's settings.toml by name; empty if the file is missing.

    Raises InvalidOptionError if the file can't be read or has an unknown name.
    """
    path = folder / SETTINGS_FILE_NAME
    state_files.restrict_folder(folder)
    state_files.restrict_file(path)
    try:
        text = state_files.read_text(path)
    except state_files.MissingFileError:
        return {}
    except state_files.UnreadableFileError as reason:
        raise InvalidOptionError(
            f"{path} can't be read: {reason}", "Correct or delete it."
        ) from None
    import tomllib

    try:
        values = tomllib.loads(text)
    except ValueError as error:
        cause = f"{path} can't be read: {shorten(str(error), MAX_CAUSE_CHARS)}"
        raise InvalidOptionError(cause, "Correct or delete it.") from None
    except RecursionError:
        raise InvalidOptionError(
            f"{path} can't be read: it is nested too deeply", "Correct or delete it."
        ) from None
    unknown_names = sorted(set(values) - set(Cfai.class_trait_names(config=True)))
    if unknown_names:
        raise InvalidOptionError(
            f"{path} names no setting: {', '.join(unknown_names)}", "%config Cfai lists them."
        )
    return values


def update_settings_file(folder: Path, changes: Mapping[str, str | float | None]) -> None:
    """Merge changes into the folder's settings.toml; None removes a setting.

    Raises SetupError if the file can't be written.
    """
    merged = read_settings_file(folder) | dict(changes)
    values = {name: value for name, value in merged.items() if value is not None}
    lines = [f"{name} = {_to_toml(value)}\n" for name, value in sorted(values.items())]
    try:
        state_files.write_text(folder / SETTINGS_FILE_NAME, "".join(lines))
    except OSError as error:
        raise SetupError(
            f"{folder / SETTINGS_FILE_NAME} can't be written: {error.strerror}",
            "Set CFAI_HOME to a folder that can be.",
        ) from None


def _to_toml(value: Any) -> str:
    """Return a value as TOML: strings, numbers and booleans as in JSON, a dict as inline table.

    Non-ASCII characters are not escaped, because TOML rejects the surrogate pairs of JSON.
    """
    if isinstance(value, dict):
        items = (f"{_to_toml(name)} = {_to_toml(item)}" for name, item in value.items())
        return f"{{ {', '.join(items)} }}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
