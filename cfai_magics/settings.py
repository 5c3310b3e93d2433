"""Owns every knob (`%config Cfai`) and where the settings and other state live."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

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
from .course.find import find_course
from .course.rules import NO_COURSE, Course
from .errors import BadOption, CfaiError, CourseRule, SetupError
from .secret import sealed

DEFAULT_MODEL = "@cf/google/gemma-4-26b-a4b-it"
FILE_NAME = "settings.toml"
FORMS = ("markdown", "text", "raw", "code", "json", "html", "latex", "table")
MODES = ("auto", "only", "refresh", "off")  # of recording
HOME_VARIABLE = "CFAI_HOME"
LONGEST_WAIT = 86_400.0  # s: a day
LONGEST_CAUSE = 300  # characters: the cause may repeat a value of any length


def home() -> Path:
    """Return the folder of all state: CFAI_HOME, or platformdirs' user data folder for "cfai".

    Raises SetupError if that path cannot be a folder.
    """
    return sealed(_home)


def _home() -> Path:
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return _usable(_absolute(named), HOME_VARIABLE)
    from platformdirs import user_data_path

    return _usable(user_data_path("cfai", appauthor=False), "The folder for state")


def _absolute(named: str) -> Path:
    """Return a path in full, so that it stays the same when the working directory changes."""
    try:
        return Path(named).expanduser().absolute()
    except (OSError, RuntimeError) as error:  # no such user, no working directory
        raise SetupError(
            f"{HOME_VARIABLE} is {named}, which cannot be resolved: {state_files.reason(error)}",
            f"Set {HOME_VARIABLE} to the full path of a folder, or unset it.",
        ) from None


def _usable(folder: Path, what: str) -> Path:
    why = state_files.unusable(folder)
    if why:
        raise SetupError(
            f"{what} is {folder}, which cannot be used: {why}",
            f"Set {HOME_VARIABLE} to the path of a folder, or unset it.",
        )
    return folder


class SettingRefused(CourseRule, TraitError):
    """A setting that would loosen what the course's file holds: it stays as it was."""


class SettingInvalid(BadOption, TraitError):
    """A value that is not valid for its setting: the setting stays as it was."""


class FiniteFloat(Float[float, float]):
    """A number; not a boolean, infinity or NaN."""

    info_text = "a finite number"

    def validate(self, obj: HasTraits, value: Any) -> Any:
        """Return the value as a float; TraitError if it is not valid."""
        if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
            self.error(obj, value)
        return super().validate(obj, _as_float(value))


class FiniteCFloat(CFloat[float | None, Any]):
    """A number, or a text that is one; not a boolean, infinity or NaN."""

    info_text = "a finite number"

    def validate(self, obj: HasTraits, value: Any) -> Any:
        """Return the value as a float; TraitError if it is not valid."""
        if isinstance(value, bool):
            self.error(obj, value)
        number = super().validate(obj, _as_float(value))
        if number is None or not math.isfinite(number):
            self.error(obj, value)
        return number


class Count(Int[int, int]):
    """A whole number; not a boolean."""

    def validate(self, obj: HasTraits, value: Any) -> Any:
        """Return the value; TraitError if it is not valid."""
        if isinstance(value, bool):
            self.error(obj, value)
        return super().validate(obj, value)


def _as_float(value: Any) -> Any:
    """Return a whole number as a float, infinity if it is too large for one; others as given."""
    if isinstance(value, int):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return value


class Cfai(Configurable):
    """Ask Cloudflare Workers AI from a notebook cell."""

    # What the course's file holds, and where each setting that is not the default came from.
    course: Course = NO_COURSE
    origins: Mapping[str, tuple[Any, str]] = MappingProxyType({})

    model = Unicode(
        DEFAULT_MODEL, help="Model asked where a cell names none; a short name will do."
    ).tag(config=True)
    system = Unicode("", help="System prompt sent where a cell gives none.").tag(config=True)
    temperature = FiniteCFloat(
        None, allow_none=True, help="Temperature sent where a cell gives none; None sends none."
    ).tag(config=True)
    max_tokens = Count(2048, min=1, help="Most tokens an answer may have.").tag(config=True)
    format = Enum(FORMS, default_value="markdown", help="Form of answers.").tag(config=True)
    table_rows = Count(30, min=0, help="Most rows of a table that {{…}} puts into a prompt.").tag(
        config=True
    )
    value_characters = Count(
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
        max=LONGEST_WAIT,
        help="Seconds to wait for the next piece of an answer.",
    ).tag(config=True)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a setting; SettingInvalid, one line, if the value is not valid for it."""
        try:
            super().__setattr__(name, value)
        except CfaiError:
            raise
        except TraitError as error:
            raise SettingInvalid(
                f"{name} cannot be set: {_shortened(str(error))}",
                "%config Cfai shows all settings; this one stays as it was.",
            ) from None

    @validate("recording")
    def _as_recordings_are(self, proposal: Bunch) -> Any:
        value = proposal["value"]
        if value and value.partition(":")[0] not in MODES:
            known = ", ".join(MODES)
            raise TraitError(f"recording is {value!r}, which begins with none of {known}")
        return self._as_the_course_allows(proposal)

    @validate("model", "system", "temperature", "max_tokens", "local", "gateway", "base_url")
    def _as_the_course_allows(self, proposal: Bunch) -> Any:
        try:
            self.course.check_setting(proposal["trait"].name, proposal["value"])
        except CourseRule as error:
            raise SettingRefused(error.cause, error.hint) from None
        return proposal["value"]

    def origin(self, name: str) -> str:
        """Return where a setting's present value comes from."""
        value = getattr(self, name)
        then, origin = self.origins.get(name, (self.traits()[name].default_value, "default"))
        return origin if value == then else "this kernel"


def load_settings(
    folder: Path, config: Config | None = None, working_directory: Path | None = None
) -> Cfai:
    """Return the settings: the folder's settings.toml, IPython's configuration, the course's file.

    Each wins over those before it. The course's file is looked for in the working directory and
    above, once: what it holds does not end when a cell goes elsewhere. Raises BadOption when one
    of them is not as a setting has to be.
    """
    course = find_course(working_directory or Path.cwd())
    ours = (config or Config()).get("Cfai", {})
    layers = (
        (kept_settings(folder), str(folder / FILE_NAME), "Correct or delete it."),
        (
            ours,
            "IPython's configuration",
            "Correct ipython_config.py; what %config set ends with the kernel.",
        ),
        (course.settings, str(course.path), "Correct it; nothing is sent before."),
    )
    merged = Config()
    origins: dict[str, tuple[Any, str]] = {}
    for values, where, mend in layers:
        merged.merge(Config({"Cfai": dict(values)}))
        settings = _with(merged, where, mend)
        origins |= {name: (getattr(settings, name), where) for name in values}
    settings.course, settings.origins = course, origins
    return settings


def _with(config: Config, where: str, mend: str) -> Cfai:
    try:
        return Cfai(config=config)
    except TraitError as error:
        cause = error.cause if isinstance(error, CfaiError) else _shortened(str(error))
        raise BadOption(f"In {where}: {cause}", mend) from None
    except RecursionError:
        raise BadOption(f"In {where}: a value is nested too deeply", mend) from None


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_CAUSE else f"{text[: LONGEST_CAUSE - 1]}…"


def kept_settings(folder: Path) -> dict[str, Any]:
    """Return the settings kept in the folder, by name; none where there is no file."""
    path = folder / FILE_NAME
    state_files.tighten_folder(folder)
    state_files.tighten(path)
    try:
        text = state_files.read(path)
    except state_files.Missing:
        return {}
    except state_files.Unreadable as why:
        raise BadOption(f"{path} can't be read: {why}", "Correct or delete it.") from None
    import tomllib

    try:
        kept = tomllib.loads(text)
    except ValueError as error:
        cause = f"{path} can't be read: {_shortened(str(error))}"
        raise BadOption(cause, "Correct or delete it.") from None
    except RecursionError:
        raise BadOption(
            f"{path} can't be read: it is nested too deeply", "Correct or delete it."
        ) from None
    unknown = sorted(set(kept) - set(Cfai.class_trait_names(config=True)))
    if unknown:
        raise BadOption(
            f"{path} names no setting: {', '.join(unknown)}", "%config Cfai lists them."
        )
    return kept


def keep_settings(folder: Path, changes: Mapping[str, str | float | None]) -> None:
    """Write the changes into the folder's settings.toml, beside what it holds; None takes away."""
    merged = kept_settings(folder) | dict(changes)
    kept = {name: value for name, value in merged.items() if value is not None}
    lines = [f"{name} = {_toml(value)}\n" for name, value in sorted(kept.items())]
    try:
        state_files.write(folder / FILE_NAME, "".join(lines))
    except OSError as error:
        raise SetupError(
            f"{folder / FILE_NAME} can't be written: {error.strerror}",
            "Set CFAI_HOME to a folder that can be.",
        ) from None


def _toml(value: Any) -> str:
    """Return a value as TOML: a JSON string, number or boolean is one, a table has = for its :.

    A character that JSON may write as two halves stands as it is: TOML refuses halves.
    """
    if isinstance(value, dict):
        items = (f"{_toml(name)} = {_toml(item)}" for name, item in value.items())
        return f"{{ {', '.join(items)} }}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
