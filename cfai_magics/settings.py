"""Owns every knob (`%config Cfai`) and where the settings and other state live."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traitlets import CFloat, Enum, Float, Int, TraitError, Unicode
from traitlets.config import Config, Configurable

from .errors import BadOption, SetupError

DEFAULT_MODEL = "@cf/google/gemma-4-26b-a4b-it"
FILE_NAME = "settings.toml"
FORMS = ("markdown", "text", "raw", "code", "json", "html", "latex", "table")


def home() -> Path:
    """Return the folder of all state: CFAI_HOME, or platformdirs' user data folder for "cfai"."""
    named = os.environ.get("CFAI_HOME")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_data_path

    return user_data_path("cfai", appauthor=False)


class Cfai(Configurable):
    """Ask Cloudflare Workers AI from a notebook cell."""

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
    footer = Enum(
        ("full", "short", "off"), default_value="full", help="The line under an answer."
    ).tag(config=True)
    local = Unicode(
        "", help='"small" or a GGUF file\'s path: answer from that model on this machine.'
    ).tag(config=True)
    timeout = Float(240.0, min=1.0, help="Seconds to wait for the next piece of an answer.").tag(
        config=True
    )


def load_settings(folder: Path, config: Config | None = None) -> Cfai:
    """Return the settings of the folder's settings.toml, under those of IPython's configuration.

    Raises BadOption when one of them is not as a setting has to be.
    """
    kept = Config({"Cfai": kept_settings(folder)})
    try:
        Cfai(config=kept)
    except TraitError as error:
        raise BadOption(f"In {folder / FILE_NAME}: {error}", "Correct or delete it.") from None
    kept.merge(config or Config())
    try:
        return Cfai(config=kept)
    except TraitError as error:
        raise BadOption(
            f"In IPython's configuration: {error}",
            "Correct ipython_config.py; what %config set ends with the kernel.",
        ) from None


def kept_settings(folder: Path) -> dict[str, Any]:
    """Return the settings kept in the folder, by name; none where there is no file."""
    path = folder / FILE_NAME
    if not path.exists():
        return {}
    import tomllib

    try:
        kept = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadOption(f"{path} can't be read: {error}", "Correct or delete it.") from None
    unknown = sorted(set(kept) - set(Cfai.class_trait_names(config=True)))
    if unknown:
        raise BadOption(
            f"{path} names no setting: {', '.join(unknown)}", "%config Cfai lists them."
        )
    return kept


def keep_settings(folder: Path, changes: Mapping[str, str | float]) -> None:
    """Write the changes into the folder's settings.toml, beside what it holds."""
    kept = kept_settings(folder) | dict(changes)
    # A JSON string, number or boolean is also TOML.
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in sorted(kept.items())]
    partial = folder / f".{FILE_NAME}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_text("".join(lines), encoding="utf-8")
        partial.replace(folder / FILE_NAME)
    except OSError as error:
        raise SetupError(
            f"{folder / FILE_NAME} can't be written: {error.strerror}",
            "Set CFAI_HOME to a folder that can be.",
        ) from None
