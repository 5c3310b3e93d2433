"""Owns every knob (`%config Cfai`) and where the settings and other state live."""

import os
from pathlib import Path

from traitlets import CFloat, Enum, Float, Int, Unicode
from traitlets.config import Configurable

DEFAULT_MODEL = "@cf/google/gemma-4-26b-a4b-it"


def home() -> Path:
    """Return the folder of all state: CFAI_HOME, or platformdirs' user data folder for "cfai"."""
    named = os.environ.get("CFAI_HOME")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_data_path

    return user_data_path("cfai")


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
    format = Enum(
        ("markdown", "text", "raw"), default_value="markdown", help="How answers are shown."
    ).tag(config=True)
    footer = Enum(
        ("full", "short", "off"), default_value="full", help="The line under an answer."
    ).tag(config=True)
    timeout = Float(
        240.0, min=1.0, help="Seconds to wait for the next piece of an answer."
    ).tag(config=True)
