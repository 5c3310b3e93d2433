"""Find and parse a course's cfai.toml file, and enforce its policy."""

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import CoursePolicyError, InvalidOptionError
from .i18n import _, mark, ngettext
from .secret_patterns import contains_account_id, contains_token
from .types.usage import CHAT_TASK, TASK_MAX_TOKENS
from .workers_ai.gateway import parse_gateway_metadata, parse_gateway_name

if TYPE_CHECKING:
    from .types.messages import Message, Request
    from .types.usage import Model, Scope

SWITCHES = ("private", "warn_personal_data")  # settings that are true or false
LOCKABLE_SETTINGS = (
    *("model", "system", "temperature", "max_tokens", "local", "recording"),
    *SWITCHES,
)
SYSTEM_ROLES = ("system", "developer")
MAX_FILE_BYTES = 100_000
COURSE_SETTINGS = (
    *("model", "system", "temperature", "max_tokens", "format", "footer", "local", "recording"),
    *SWITCHES,
)
BUDGET_SCOPES: "Mapping[str, Scope]" = {
    "call": "cell",
    "notebook": "notebook",
    "session": "session",
    "day": "day",
}
MODEL_NAME_PATTERN = re.compile(r"@?\w[\w.:-]*(/\w[\w.:-]*)*")
UNSAFE_KEY_PATTERN = re.compile(
    r"host|url|addr|server|endpoint|prox|account|token|key|secret|passw|cred|auth|path|home|dir|"
    r"file|folder|cert",
    re.IGNORECASE,
)
URL_OR_PATH_PATTERN = re.compile(r"\w://|^\s*(?:[/\\~]|[a-z]:[/\\])", re.IGNORECASE)
UNSAFE_VALUE_HINT = mark(
    "cfai.toml may come from someone else, so it must not contain hosts, accounts, credentials "
    "or paths. Remove this; nothing is sent until then."
)
COURSE_FILE_NAME = "cfai.toml"


@dataclass(frozen=True, slots=True)
class CoursePolicy:
    """The policy set by a course's cfai.toml. If `path` is None, everything is allowed.

    `settings` maps setting names to values. Cells must not change the settings in `locked`. The
    budgets, the gateway, its metadata and the allowed models always apply.
    """

    path: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    allowed_models: tuple[str, ...] = ()
    budgets: "tuple[tuple[Scope, float], ...]" = ()
    gateway: str = ""
    metadata: Mapping[str, str | float | bool] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()

    def check_request(self, request: "Request", *, is_local: bool = False) -> None:
        """Raise CoursePolicyError if the course does not allow the chat request.

        If `is_local` is true, the model runs on this machine and costs no neurons, so its name
        is not checked.
        """
        if self.path is None:
            return
        extra = request.extra
        if not is_local:
            self.check_model(request.model)
        self._check_system(request.messages)
        self._check_locked("temperature", extra.get("temperature", request.temperature))
        self._check_max_tokens(_get_max_tokens(extra) or [request.max_tokens])

    def check_task(self, model: "Model", payload: Mapping[str, Any] | bytes) -> None:
        """Raise CoursePolicyError if the course does not allow the native task."""
        if self.path is None:
            return
        self.check_model(model.name)
        if model.task not in ("", CHAT_TASK) or not isinstance(payload, Mapping):
            return
        if "system" in self.locked:
            raise CoursePolicyError(
                _("cfai.toml locks the system prompt: use %%cfai instead of a native task")
            )
        self._check_locked("temperature", payload.get("temperature"))
        self._check_max_tokens(_get_max_tokens(payload) or [TASK_MAX_TOKENS])

    def check_model(self, name: str) -> None:
        """Raise CoursePolicyError if the course does not allow the model."""
        allowed = self._permitted_models()
        if allowed and not any(matches_name(entry, name) for entry in allowed):
            raise CoursePolicyError(
                ngettext(
                    "cfai.toml allows only the model {models}, not {name}",
                    "cfai.toml allows only the models {models}, not {name}",
                    len(allowed),
                ).format(models=", ".join(allowed), name=name)
            )

    def _permitted_models(self) -> tuple[str, ...]:
        return (self.settings["model"],) if "model" in self.locked else self.allowed_models

    def check_setting(self, name: str, value: Any) -> None:
        """Raise CoursePolicyError if the course does not allow this value for the setting."""
        if name == "model":
            self.check_model(value)
        elif name == "max_tokens":
            self._check_max_tokens([value])
        elif name in ("gateway", "base_url", "class_server"):
            self._check_gateway(value)
        elif name == "recording":
            self._check_recording(value)
        else:
            self._check_locked(name, value)

    def _check_recording(self, value: str) -> None:
        """Raise CoursePolicyError if the course locks another record mode or cassette.

        If the course sets only a mode, any cassette is allowed with that mode.
        """
        course_mode = self.settings.get("recording", "")
        if value.partition(":")[0] != course_mode:
            self._check_locked("recording", value)

    def _check_gateway(self, value: Any) -> None:
        if self.gateway and value not in ("", self.gateway):
            raise CoursePolicyError(
                _("cfai.toml sends all requests through the gateway {gateway}").format(
                    gateway=self.gateway
                )
            )

    def _check_locked(self, name: str, value: Any) -> None:
        if name in self.locked and value != self.settings[name]:
            raise CoursePolicyError(
                _("cfai.toml sets {name} to {value!r} and locks it").format(
                    name=name, value=self.settings[name]
                )
            )

    def _check_max_tokens(self, values: Iterable[Any]) -> None:
        if "max_tokens" not in self.locked:
            return
        max_tokens = self.settings["max_tokens"]
        if not all(isinstance(value, int) and 0 < value <= max_tokens for value in values):
            raise CoursePolicyError(
                ngettext(
                    "cfai.toml limits answers to at most {count:,} token",
                    "cfai.toml limits answers to at most {count:,} tokens",
                    max_tokens,
                ).format(count=max_tokens)
            )

    def _check_system(self, messages: "Sequence[Message]") -> None:
        if "system" not in self.locked:
            return
        system_messages = [message for message in messages if message.get("role") in SYSTEM_ROLES]
        system_prompt = self.settings["system"]
        if len(system_messages) != bool(system_prompt) or not all(
            _starts_with_prompt(system_message, system_prompt)
            for system_message in system_messages
        ):
            raise CoursePolicyError(_("cfai.toml locks the system prompt: omit -s"))


def _get_max_tokens(fields: Mapping[str, Any]) -> list[Any]:
    """Return the values of all fields that limit the answer's length."""
    from .pricing.prices import MAX_TOKENS_FIELDS  # deferred: not needed at load time

    return [fields[name] for name in MAX_TOKENS_FIELDS if name in fields]


def _starts_with_prompt(message: "Message", system_prompt: str) -> bool:
    """Return whether the message is the system prompt, with or without format instructions."""
    content = str(message.get("content"))
    return content == system_prompt or content.startswith(f"{system_prompt}\n\n")


def matches_name(entry: str, name: str) -> bool:
    """Return whether an entry in `allowed_models` names the model, with or without its author."""
    return name == entry or name.rpartition("/")[2] == entry or entry.rpartition("/")[2] == name


NO_COURSE = CoursePolicy()


def read_course(path: Path) -> CoursePolicy:
    """Read and validate a course's cfai.toml.

    Raises:
        InvalidOptionError: The file can't be read, or contains a key or value that is not allowed.
    """
    data = _read_toml(path)
    try:
        _reject_unsafe_keys(data)
        return CoursePolicy(path=path, **_parse_data(data, path.parent))
    except InvalidOptionError as error:
        raise InvalidOptionError(f"{path}: {error.cause}", error.hint) from None


def _read_toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(_read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidOptionError(
            _("{path} can't be read: {reason}").format(path=path, reason=error),
            _("Correct or delete it; nothing is sent until then."),
        ) from None


def _read_text(path: Path) -> str:
    if path.exists() and not path.is_file():  # reading a pipe would block
        raise ValueError(_("it is not a regular file"))
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(
            _("it is larger than {max_bytes:,} bytes").format(max_bytes=MAX_FILE_BYTES)
        )
    return content.decode("utf-8-sig")  # some editors write a byte order mark


def _reject_unsafe_keys(data: Mapping[str, Any]) -> None:
    for name, value in data.items():
        if name not in (*COURSE_SETTINGS, *PARSERS):
            hint = (
                _(UNSAFE_VALUE_HINT)
                if UNSAFE_KEY_PATTERN.search(name) or _contains_url_or_path(value)
                else _("Allowed keys: {keys}.").format(keys=", ".join(_allowed_keys()))
            )
            raise InvalidOptionError(_("{key} is not allowed in cfai.toml").format(key=name), hint)
    for name, text in _iter_texts("", data):
        if contains_token(text) or contains_account_id(text):
            raise InvalidOptionError(
                _("{key} contains what looks like a token, a key or an account ID").format(
                    key=name
                ),
                _(UNSAFE_VALUE_HINT),
            )
    for name, text in _iter_texts("metadata", data.get("metadata")):
        if URL_OR_PATH_PATTERN.search(text):
            raise InvalidOptionError(
                _("{key} contains a URL or a path").format(key=name), _(UNSAFE_VALUE_HINT)
            )


def _contains_url_or_path(value: Any) -> bool:
    return any(URL_OR_PATH_PATTERN.search(text) for _name, text in _iter_texts("", value))


def _allowed_keys() -> list[str]:
    return sorted((*COURSE_SETTINGS, *PARSERS))


def _iter_texts(key_path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the key path and text of each string in a value, including dict keys."""
    if isinstance(value, str):
        yield key_path, value
    elif isinstance(value, list):
        for item in value:
            yield from _iter_texts(key_path, item)
    elif isinstance(value, dict):
        for key, item in value.items():
            inner_path = f"{key_path}.{key}" if key_path else key
            yield key_path or _("a key"), key
            yield from _iter_texts(inner_path, item)


def _parse_data(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    policy_fields = {
        field: parse(data[name]) for name, (field, parse) in PARSERS.items() if name in data
    }
    settings = {name: data[name] for name in COURSE_SETTINGS if name in data}
    allowed_models = policy_fields.get("allowed_models", ())
    if allowed_models:
        settings.setdefault("model", allowed_models[0])
    _check_settings(settings, allowed_models)
    if "recording" in settings:
        settings["recording"] = _resolve_recording(settings["recording"], folder)
    missing = [name for name in policy_fields.get("locked", ()) if name not in settings]
    if missing:
        raise InvalidOptionError(
            ngettext(
                "locked contains {names}, but cfai.toml does not set it",
                "locked contains {names}, but cfai.toml does not set them",
                len(missing),
            ).format(names=", ".join(missing)),
            _("Add a value for each locked setting."),
        )
    return {**policy_fields, "settings": settings}


def _check_settings(settings: Mapping[str, Any], allowed_models: tuple[str, ...]) -> None:
    if "model" in settings:
        _parse_model_name(settings["model"])
        if allowed_models and settings["model"] not in allowed_models:
            raise InvalidOptionError(
                _("the default model {model} is not in allowed_models").format(
                    model=settings["model"]
                ),
                _("Add it to allowed_models."),
            )
    for name, value in settings.items():
        if name in SWITCHES:
            if not isinstance(value, bool):
                raise InvalidOptionError(
                    _("{key} is not true or false").format(key=name),
                    _("Example: {example}").format(example=f"{name} = true"),
                )
        elif isinstance(value, bool):
            raise InvalidOptionError(
                _("{key} is {value}").format(key=name, value=str(value).lower()),
                _("Use a string or a number."),
            )
    if settings.get("private") is False:
        raise InvalidOptionError(
            _("private must be true in cfai.toml"),
            _("Remove it: a course must not allow requests that a user does not allow."),
        )
    if settings.get("local", "") not in ("", "small"):
        raise InvalidOptionError(
            _('local must be "small" or "" in cfai.toml'), _(UNSAFE_VALUE_HINT)
        )


def _resolve_recording(value: Any, folder: Path) -> Any:
    """Return "MODE", or "MODE:PATH" with the absolute path of the cassette.

    Raises:
        InvalidOptionError: The path is outside the folder of cfai.toml.
    """
    mode, colon, name = value.partition(":") if isinstance(value, str) else (value, "", "")
    if not colon:
        return value
    path = Path(os.path.normpath(folder / name))
    if not name or not path.resolve().is_relative_to(folder.resolve()) or path.is_dir():
        raise InvalidOptionError(
            _("recording is not a file in the folder of cfai.toml"),
            _("Use a file in or below that folder: {example}").format(
                example=f'recording = "{mode}:answers.cfai.jsonl"'
            ),
        )
    return f"{mode}:{path.absolute()}"


def _parse_model_name(name: Any) -> str:
    if not isinstance(name, str) or not MODEL_NAME_PATTERN.fullmatch(name):
        raise InvalidOptionError(
            _("{name!r} is not a model name").format(name=name), _("%cfai models lists the names.")
        )
    return name


def _parse_models(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidOptionError(
            _("allowed_models is not a list of names"),
            _("Example: {example}").format(example='allowed_models = ["NAME", "NAME"]'),
        )
    return tuple(map(_parse_model_name, value))


def _parse_budgets(value: Any) -> "tuple[tuple[Scope, float], ...]":
    if not isinstance(value, dict) or not set(value) <= set(BUDGET_SCOPES):
        raise InvalidOptionError(
            _("budget must be a table with the keys {keys}").format(keys=", ".join(BUDGET_SCOPES)),
            _("Use [budget], with day = 2000 on the next line."),
        )
    return tuple(
        (BUDGET_SCOPES[name], _parse_neurons(name, amount)) for name, amount in value.items()
    )


def _parse_neurons(name: str, value: Any) -> float:
    if not _is_number(value) or not 0 <= value < math.inf:
        raise InvalidOptionError(
            _("{key} is not a number of neurons").format(key=f"budget.{name}"),
            _("Example: {example}").format(example="day = 2000"),
        )
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _parse_locked(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not set(map(str, value)) <= set(LOCKABLE_SETTINGS):
        raise InvalidOptionError(
            _("locked must be a list with any of {names}").format(
                names=", ".join(LOCKABLE_SETTINGS)
            ),
            _("Example: {example}").format(example='locked = ["system"]'),
        )
    return frozenset(value)


# Keys in cfai.toml that are not settings, each with its CoursePolicy field and parser.
PARSERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "allowed_models": ("allowed_models", _parse_models),
    "budget": ("budgets", _parse_budgets),
    "gateway": ("gateway", parse_gateway_name),
    "metadata": ("metadata", parse_gateway_metadata),
    "locked": ("locked", _parse_locked),
}


def find_course(folder: Path) -> CoursePolicy:
    """Return the policy from the nearest cfai.toml in the folder or its parents, or NO_COURSE."""
    for directory in (folder, *folder.parents):
        path = directory / COURSE_FILE_NAME
        if os.path.lexists(path):  # an unreadable file must cause an error, not count as missing
            return read_course(path)
    return NO_COURSE
