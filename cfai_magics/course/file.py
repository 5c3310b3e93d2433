"""Reads a course's file, cfai.toml: it comes from strangers, so it may name no way out."""

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..credentials.secret_forms import account_id_in, token_in
from ..errors import BadOption
from ..workers_ai.gateway import gateway_metadata, gateway_name
from .rules import LOCKABLE, Course

if TYPE_CHECKING:
    from ..values import Scope

MOST_BYTES = 100_000
SETTINGS = (
    *("model", "system", "temperature", "max_tokens", "format", "footer", "local", "recording"),
)
SCOPES: "Mapping[str, Scope]" = {
    "call": "cell",
    "notebook": "notebook",
    "session": "session",
    "day": "day",
}
MODEL = re.compile(r"@?\w[\w.:-]*(/\w[\w.:-]*)*")
WAY_OUT = re.compile(
    r"host|url|addr|server|endpoint|prox|account|token|key|secret|passw|cred|auth|path|home|dir|"
    r"file|folder|cert",
    re.IGNORECASE,
)
PLACE = re.compile(r"\w://|^\s*(?:[/\\~]|[a-z]:[/\\])", re.IGNORECASE)
WHY_NOT = (
    "A course's file comes from others and may name no host, account, credential or path: "
    "delete that. Nothing is sent before."
)


def read_course(path: Path) -> Course:
    """Return what a course's file says; BadOption for all that it may not."""
    said = _parsed(path)
    try:
        _refuse_ways_out(said)
        return Course(path=path, **_read(said, path.parent))
    except BadOption as error:
        raise BadOption(f"{path}: {error.cause}", error.hint) from None


def _parsed(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise BadOption(
            f"{path} can't be read: {error}", "Correct or delete it; nothing is sent before."
        ) from None


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError("it is no file")
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
    return content.decode("utf-8-sig")  # some editors begin a file with a mark


def _refuse_ways_out(said: Mapping[str, Any]) -> None:
    for name in said:
        if name not in (*SETTINGS, *READERS):
            hint = WHY_NOT if WAY_OUT.search(name) else f"It may set {', '.join(_names())}."
            raise BadOption(f"it names {name}, which a course's file does not set", hint)
    for name, text in _texts("", said):
        if token_in(text) or account_id_in(text):
            raise BadOption(f"{name} holds what looks like a token or an account id", WHY_NOT)
    for name, text in _texts("metadata", said.get("metadata")):
        if PLACE.search(text):
            raise BadOption(f"{name} holds an address or a path", WHY_NOT)


def _names() -> list[str]:
    return sorted((*SETTINGS, *READERS))


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield all texts in a value, names too, each with where it stands."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(name, item)
    elif isinstance(value, dict):
        for key, item in value.items():
            inner = f"{name}.{key}" if name else key
            yield name or "a name", key
            yield from _texts(inner, item)


def _read(said: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    read = {field: reader(said[name]) for name, (field, reader) in READERS.items() if name in said}
    settings = {name: said[name] for name in SETTINGS if name in said}
    allowed = read.get("allowed_models", ())
    if allowed:
        settings.setdefault("model", allowed[0])
    _check_settings(settings, allowed)
    if "recording" in settings:
        settings["recording"] = _recording(settings["recording"], folder)
    missing = [name for name in read.get("locked", ()) if name not in settings]
    if missing:
        raise BadOption(f"it locks {', '.join(missing)} without setting it", "Set it there too.")
    return {**read, "settings": settings}


def _check_settings(settings: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    if "model" in settings:
        _model(settings["model"])
        if allowed and settings["model"] not in allowed:
            raise BadOption("its model is none of its allowed_models", "Add it to them.")
    for name, value in settings.items():
        if isinstance(value, bool):
            raise BadOption(f"{name} is {str(value).lower()}", "Give it a text or a number.")
    if settings.get("local", "") not in ("", "small"):
        raise BadOption('local may be "small" or "" here', WHY_NOT)


def _recording(value: Any, folder: Path) -> Any:
    """Return a mode of recording, with its file in full; BadOption for one outside the folder."""
    mode, colon, name = value.partition(":") if isinstance(value, str) else (value, "", "")
    if not colon:
        return value
    path = Path(os.path.normpath(folder / name))
    if not name or not path.resolve().is_relative_to(folder.resolve()) or path.is_dir():
        raise BadOption(
            "its recording is no file of the course's folder",
            f'Name one in or below it: recording = "{mode}:answers.cfai.jsonl".',
        )
    return f"{mode}:{path.absolute()}"


def _model(name: Any) -> str:
    if not isinstance(name, str) or not MODEL.fullmatch(name):
        raise BadOption(f"{name!r} is no model's name", "%cfai models lists the names.")
    return name


def _models(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise BadOption("allowed_models is no list of names", 'allowed_models = ["NAME", "NAME"]')
    return tuple(map(_model, value))


def _budgets(value: Any) -> "tuple[tuple[Scope, float], ...]":
    if not isinstance(value, dict) or not set(value) <= set(SCOPES):
        raise BadOption(f"budget takes {', '.join(SCOPES)}", "[budget] and below it day = 2000")
    return tuple((SCOPES[name], _amount(name, amount)) for name, amount in value.items())


def _amount(name: str, value: Any) -> float:
    if not _is_number(value) or not 0 <= value < math.inf:
        raise BadOption(f"budget.{name} is no number of neurons", "Write for example day = 2000.")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _locked(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not set(map(str, value)) <= set(LOCKABLE):
        raise BadOption(f"locked takes {', '.join(LOCKABLE)}", 'locked = ["system"]')
    return frozenset(value)


# What a course's file holds beside settings, each with its field in Course and its reader.
READERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "allowed_models": ("allowed_models", _models),
    "budget": ("budgets", _budgets),
    "gateway": ("gateway", gateway_name),
    "metadata": ("metadata", gateway_metadata),
    "locked": ("locked", _locked),
}
