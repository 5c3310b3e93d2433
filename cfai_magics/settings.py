"""Owns every knob (`%config Cfai`) and where the settings and other state live."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from traitlets import Bunch, CFloat, Dict, Enum, Float, Int, TraitError, Unicode, validate
from traitlets.config import Config, Configurable

from .course.find import find_course
from .course.rules import NO_COURSE, Course
from .errors import BadOption, CourseRule, SetupError

DEFAULT_MODEL = "@cf/google/gemma-4-26b-a4b-it"
FILE_NAME = "settings.toml"
FORMS = ("markdown", "text", "raw", "code", "json", "html", "latex", "table")
MODES = ("auto", "only", "refresh", "off")  # of recording


def home() -> Path:
    """Return the folder of all state: CFAI_HOME, or platformdirs' user data folder for "cfai"."""
    named = os.environ.get("CFAI_HOME")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_data_path

    return user_data_path("cfai", appauthor=False)


class SettingRefused(CourseRule, TraitError):
    """A setting that would loosen what the course's file holds: it stays as it was."""


class Cfai(Configurable):
    """Ask Cloudflare Workers AI from a notebook cell."""

    # What the course's file holds, and where each setting that is not the default came from.
    course: Course = NO_COURSE
    origins: Mapping[str, tuple[Any, str]] = MappingProxyType({})

    model = Unicode(
        DEFAULT_MODEL, help="Model asked where a cell names none; a short name will do."
    ).tag(config=True)
    system = Unicode("", help="System prompt sent where a cell gives none.").tag(config=True)
    temperature = CFloat(
        None, allow_none=True, help="Temperature sent where a cell gives none; None sends none."
    ).tag(config=True)
    max_tokens = Int(2048, min=1, help="Most tokens an answer may have.").tag(config=True)
    format = Enum(FORMS, default_value="markdown", help="Form of answers.").tag(config=True)
    table_rows = Int(30, min=0, help="Most rows of a table that {{…}} puts into a prompt.").tag(
        config=True
    )
    value_characters = Int(
        20_000, min=100, help="Most characters of one value that {{…}} puts into a prompt."
    ).tag(config=True)
    confirm_neurons = Float(
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
    timeout = Float(240.0, min=1.0, help="Seconds to wait for the next piece of an answer.").tag(
        config=True
    )

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
        raise BadOption(f"In {where}: {error}", mend) from None


def kept_settings(folder: Path) -> dict[str, Any]:
    """Return the settings kept in the folder, by name; none where there is no file."""
    path = folder / FILE_NAME
    if not path.exists():
        return {}
    import tomllib

    try:
        kept = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise BadOption(f"{path} can't be read: {error}", "Correct or delete it.") from None
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
    partial = folder / f".{FILE_NAME}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_text("".join(lines), encoding="utf-8", errors="replace")
        partial.replace(folder / FILE_NAME)
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
