"""Warn once before the values of `{{…}}` send apparent personal data or secrets."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..errors import PersonalDataError
from ..i18n import _

if TYPE_CHECKING:
    from ..prompt.builder import Part
    from ..session.call import Target
    from ..session.session import Session
    from ..types.messages import Request


def check_sent_values(
    session: "Session",
    prompt: str,
    parts: Iterable["Part"],
    requests: Sequence["Request"],
    targets: Sequence["Target"],
) -> None:
    """Raise PersonalDataError as `check_values` does, if a request would leave this machine.

    Args:
        session: The session that sends the requests.
        prompt: The prompt as typed.
        parts: The parts of the user message.
        requests: The requests with these parts.
        targets: The model and backend of each request.
    """
    values = [(part.name, part.text) for part in parts if part.kind == "variable"]
    if values and any(
        target.backend_kind != "local" and not session.resolver.is_recorded(request, target)
        for request, target in zip(requests, targets, strict=True)
    ):
        from ..prompt.template import truncate_source

        fields = [(f"{{{{{truncate_source(name)}}}}}", text) for name, text in values]
        check_values(session, prompt, fields)


def check_values(session: "Session", prompt: str, values: Sequence[tuple[str, str]]) -> None:
    """Raise PersonalDataError if values that will be sent seem to contain personal data.

    The same prompt with the same values raises it only once per session.

    Args:
        session: The session that sends the values, with the setting `warn_personal_data`.
        prompt: The prompt as typed.
        values: The source of each value, such as "{{students}}", and its text.
    """
    settings = session.settings
    is_live = session.recorder.mode_resolver.is_network_allowed() and not settings.private
    if not (settings.warn_personal_data and is_live):
        return
    from ..personal_data import find_personal_data, format_personal_data

    findings = [(field, find_personal_data(text, field)) for field, text in values]
    lines = [
        _("{field} may contain {counts}").format(field=field, counts=format_personal_data(counts))
        for field, counts in dict(findings).items()
        if counts
    ]
    key = hash((prompt, *values))
    if not lines or key in session.warned_prompts:
        return
    session.warned_prompts.add(key)
    hints = [
        _("Nothing was sent. Run the cell again to send it, remove this data, or use %cfai local.")
    ]
    if not settings.is_locked("warn_personal_data"):
        hints.append(_("%config Cfai.warn_personal_data = False turns off this warning."))
    raise PersonalDataError("; ".join(lines), " ".join(hints))
