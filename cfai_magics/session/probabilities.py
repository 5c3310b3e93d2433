"""Report before a request that its model returned no token probabilities in this session."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from ..backends.selector import BackendKind
from ..errors import InvalidOptionError
from ..i18n import _
from ..types.messages import Request
from ..types.usage import CHAT_TASK

if TYPE_CHECKING:
    from ..workers_ai.chat_stream import AnswerBuilder
    from .call import Call, CallResolver, Target
    from .reservation import Reservation


class ModelKey(NamedTuple):
    """A model and the server that runs it: the same model may differ on another server."""

    account: str
    backend_kind: BackendKind
    model: str


class ProbabilityMemory:
    """The models that returned token probabilities in this session, and those that did not.

    Only answers in this session count, because the catalog does not say it.

    Args:
        resolver: The resolver of the session's calls.
        get_account: Function that returns the account or server that will answer.
        now: Function that returns the current time.
    """

    def __init__(
        self,
        resolver: "CallResolver",
        get_account: Callable[[], str],
        now: Callable[[], datetime],
    ) -> None:
        self._resolver = resolver
        self._get_account = get_account
        self._now = now
        self._returning: dict[ModelKey, None] = {}
        self._missing: dict[ModelKey, datetime] = {}
        self._reported: set[str] = set()  # fingerprints of requests

    def watch(
        self, request: Request, call: "Call", builder: "AnswerBuilder", reservation: "Reservation"
    ) -> None:
        """Remember whether the live call returns probabilities, if it requests them."""
        if call.is_recorded or not request.extra.get("logprobs"):
            return
        key = ModelKey(self._get_account(), call.backend_kind, call.model.name)
        save_recording = reservation.on_success

        def remember() -> list[str]:
            if builder.has_tokens:
                self._missing.pop(key, None)
                self._returning[key] = None
            elif builder.has_text:
                self._missing[key] = self._now().astimezone()
            return save_recording()

        reservation.on_success = remember

    def check(self, requests: Sequence[Request], targets: "Sequence[Target]") -> None:
        """Raise an error if requests ask models without probabilities for them.

        If a model returned none before, the same request raises it only once per session.

        Raises:
            InvalidOptionError: A model has another task, or returned no probabilities before.
                Nothing was sent.
        """
        for request, target in zip(requests, targets, strict=True):
            if request.extra.get("logprobs") and target.model.task not in ("", CHAT_TASK):
                raise InvalidOptionError(
                    _("{model} returns no token probabilities: its task is {task}").format(
                        model=target.model.short_name, task=target.model.task
                    ),
                    _("Use a model for text generation. %cfai models lists the models."),
                )
        if not self._missing:
            return
        account = self._get_account()
        times: dict[str, str] = {}
        fingerprints = set()
        for request, target in zip(requests, targets, strict=True):
            key = ModelKey(account, target.backend_kind, target.model.name)
            if (
                request.extra.get("logprobs")
                and key in self._missing
                and not self._resolver.is_recorded(request, target)
            ):
                times[target.model.short_name] = f"{self._missing[key]:%H:%M}"
                fingerprints.add(self._resolver.get_fingerprint(request, target))
        if fingerprints <= self._reported:
            return
        self._reported |= fingerprints
        raise InvalidOptionError(
            "; ".join(
                _("{model} returned no token probabilities at {time}").format(
                    model=model, time=time
                )
                for model, time in times.items()
            ),
            self._format_hint(account, is_local=targets[0].backend_kind == "local"),
        )

    def _format_hint(self, account: str, *, is_local: bool) -> str:
        hints = [
            _("Nothing was sent. Run the cell again to ask the model anyway, or remove --probs.")
        ]
        names = [key.model.rpartition("/")[2] for key in self._returning if key.account == account]
        if names:
            hints.append(
                _("Models that returned them in this session: {models}.").format(
                    models=_(", ").join(names)
                )
            )
        elif not is_local:
            hints.append(_("The local model of %cfai local returns them."))
        return " ".join(hints)
