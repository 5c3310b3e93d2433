"""The rules of a course: which models and options it allows, which budgets hold; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CourseRule

if TYPE_CHECKING:
    from ..values import Message, Model, Request, Scope

LOCKABLE = ("model", "system", "temperature", "max_tokens", "local", "recording")
SYSTEM_ROLES = ("system", "developer")
DEFAULT_TOKENS = 256  # of a native task that names none


@dataclass(frozen=True, slots=True)
class Course:
    """What a course's file says; `path` is None where there is none, and then all is allowed.

    `settings` are values by the names of the settings; those in `locked` no cell may change.
    Budgets, the gateway and its metadata, and the allowed models hold in any case.
    """

    path: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    allowed_models: tuple[str, ...] = ()
    budgets: "tuple[tuple[Scope, float], ...]" = ()
    gateway: str = ""
    metadata: Mapping[str, str | float | bool] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()

    def check(self, request: "Request", *, local: bool = False) -> None:
        """Raise CourseRule for a request that the course does not allow.

        A model on this machine, `local`, costs nobody neurons and need not be among the allowed.
        """
        if self.path is None:
            return
        extra = request.extra
        if "model" in extra:
            raise CourseRule("In a course the model is named with -m alone")
        if not local:
            self.check_model(request.model)
        self._check_system(extra.get("messages", request.messages))
        self._check_same("temperature", extra.get("temperature", request.temperature))
        self._check_most(_limits(extra) or [request.max_tokens])

    def check_task(self, model: "Model", payload: Mapping[str, Any] | bytes) -> None:
        """Raise CourseRule for a native task that the course does not allow."""
        if self.path is None:
            return
        self.check_model(model.name)
        if model.task not in ("", "Text Generation") or not isinstance(payload, Mapping):
            return
        if "system" in self.locked:
            raise CourseRule("The course's file locks the system prompt: ask with %%cfai instead")
        self._check_same("temperature", payload.get("temperature"))
        self._check_most(_limits(payload) or [DEFAULT_TOKENS])

    def check_model(self, name: str) -> None:
        """Raise CourseRule for a model that is none of the course's."""
        allowed = self._models()
        if allowed and not any(is_named(entry, name) for entry in allowed):
            raise CourseRule(f"The course's file allows {_listed(allowed)}, not {name}")

    def _models(self) -> tuple[str, ...]:
        return (self.settings["model"],) if "model" in self.locked else self.allowed_models

    def check_setting(self, name: str, value: Any) -> None:
        """Raise CourseRule for a setting that would loosen what the course holds."""
        if name == "model":
            self.check_model(value)
        elif name == "max_tokens":
            self._check_most([value])
        elif name in ("gateway", "base_url"):
            self._check_gateway(value)
        elif name == "recording":
            self._check_recording(value)
        else:
            self._check_same(name, value)

    def _check_recording(self, value: str) -> None:
        """Refuse another mode, or another file where the course names one."""
        held = self.settings.get("recording", "")
        if value.partition(":")[0] != held:
            self._check_same("recording", value)

    def _check_gateway(self, value: Any) -> None:
        if self.gateway and value not in ("", self.gateway):
            raise CourseRule(f"The course's file sends questions through gateway {self.gateway}")

    def _check_same(self, name: str, value: Any) -> None:
        if name in self.locked and value != self.settings[name]:
            raise CourseRule(f"The course's file locks {name} at {self.settings[name]!r}")

    def _check_most(self, values: Iterable[Any]) -> None:
        if "max_tokens" not in self.locked:
            return
        most = self.settings["max_tokens"]
        if not all(isinstance(value, int) and 0 < value <= most for value in values):
            raise CourseRule(f"The course's file allows answers of at most {most:,} tokens")

    def _check_system(self, messages: "Sequence[Message]") -> None:
        if "system" not in self.locked:
            return
        found = [message for message in messages if message.get("role") in SYSTEM_ROLES]
        wanted = self.settings["system"]
        if len(found) != bool(wanted) or not all(_begins(each, wanted) for each in found):
            raise CourseRule("The course's file locks the system prompt: leave -s out")


def _limits(fields: Mapping[str, Any]) -> list[Any]:
    """Return what the fields of a request say of the answer's length."""
    from ..neurons.pricing import LIMIT_FIELDS  # loading the extension needs no prices

    return [fields[name] for name in LIMIT_FIELDS if name in fields]


def _begins(message: "Message", wanted: str) -> bool:
    """Whether a message holds the wanted text, and after it at most what a form of answer asks."""
    content = str(message.get("content"))
    return content == wanted or content.startswith(f"{wanted}\n\n")


def is_named(entry: str, name: str) -> bool:
    """Whether an entry of the course's file, full or without its author, names this model."""
    return name == entry or name.rpartition("/")[2] == entry or entry.rpartition("/")[2] == name


def _listed(names: Sequence[str]) -> str:
    return f"the model {names[0]}" if len(names) == 1 else f"the models {', '.join(names)}"


NO_COURSE = Course()
