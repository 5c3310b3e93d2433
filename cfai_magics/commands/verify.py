"""Repeat a sample of the recorded prompts, and compare the new and recorded answers."""

import random
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import SequenceMatcher
from pathlib import Path

from ..chat.frontend import Frontend
from ..chat.options import Option
from ..display.tables import Table, format_date, format_estimate, format_neurons
from ..errors import (
    CfaiError,
    InvalidOptionError,
    MissingCredentialsError,
    ModelNotFoundError,
    PrivacyError,
)
from ..i18n import _, mark, ngettext
from ..paths import parse_user_path
from ..replay.fingerprint import DEFAULT_THINK, to_request
from ..replay.interaction import Interaction
from ..replay.mismatch import first_difference
from ..session.session import Session
from ..texts import format_percent, shorten_line
from ..types.messages import Answer, Request
from ..types.usage import Catalog, Usage

OPTIONS = (
    Option("path", nargs="?", default="", help=mark("the recording (default: the one in use)")),
    Option(
        "-n",
        "--number",
        type=int,
        default=5,
        metavar="N",
        help=mark("number of prompts to repeat (5)"),
    ),
)


COLUMNS = (mark("prompt"), mark("model"), mark("recorded"), mark("now"))
COST_NOTES = {
    "billed": mark("{neurons} neurons in total, billed."),
    "estimated": mark("{neurons} neurons in total, estimated."),
    "replayed": mark("{neurons} neurons in total, replayed."),
    "local": mark("No neurons were used."),
}
MAX_QUESTION_CHARS = 40  # longer prompts are shortened in the table


@dataclass
class _VerifyResult:
    """The table rows for the repeated prompts, and the total usage of the calls."""

    rows: list[tuple[str, ...]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    is_interrupted: bool = False


def run(frontend: Frontend, options: Namespace) -> Table:
    """Repeat a random sample of the recorded prompts, and return a table of the results."""
    if options.number < 1:
        raise InvalidOptionError(
            _("-n must be at least 1, not {value}").format(value=options.number),
            _("Example: -n 5"),
        )
    session = frontend.session
    session.recorder.mode_resolver.check_network_allowed()
    with session.recorder.mode_resolver.pause():  # the local server must start even in "only" mode
        session.backend.ensure_local_server()
    path = _resolve_path(session, options.path)
    interactions = session.recorder.cassette(path).contents().interactions
    repeatable = [
        interaction for interaction in interactions if not _skip_reason(session, interaction)
    ]
    if not repeatable:
        raise InvalidOptionError(
            _("{path} has no prompts that can be repeated").format(path=path),
            _repeatable_hint(session),
        )
    sample = random.sample(repeatable, min(options.number, len(repeatable)))
    frontend.print(_describe_cost(session, sample, len(interactions)))
    result = _ask_again(session, sample)
    notes = _build_notes(session, interactions, result)
    return Table(tuple(map(_, COLUMNS)), tuple(result.rows), "\n".join(notes))


def _resolve_path(session: Session, path_text: str) -> Path:
    path = parse_user_path(path_text) if path_text else session.recorder.record_mode.path
    if path is None or not path.is_file():
        raise InvalidOptionError(
            _("The recording {path} does not exist").format(path=path)
            if path
            else _("No recording is in use"),
            _("%cfai replay auto creates one. Or specify a path: %cfai verify lesson.cfai.jsonl."),
        )
    return path


def _skip_reason(session: Session, interaction: Interaction) -> str:
    """Return the reason why a recorded prompt can't be repeated, or "" if it can be."""
    request = interaction.request
    server = session.backend.local_server
    if request.task != "chat":
        return _("not a chat prompt")
    if request.has_hashed_content:
        return _("images are stored only as hashes")
    if request.local_model != (server.model_name if server else ""):
        return (
            _("answered by a local model") if request.local_model else _("answered by Workers AI")
        )
    return ""


def _repeatable_hint(session: Session) -> str:
    if session.backend.is_local:
        return _("A local model can repeat only its own chat prompts.")
    return _(
        "Only chat prompts without images can be repeated. To repeat prompts answered by a local "
        "model, run %cfai local first."
    )


def _build_request(session: Session, interaction: Interaction) -> Request:
    model = session.resolve_model(interaction.request.model)
    think = interaction.request.fields.get("think", False) if model.reasoning else None
    think = None if think == DEFAULT_THINK else think
    return to_request(interaction.request, model.name, think=think)


def _describe_cost(session: Session, sample: Sequence[Interaction], recorded_count: int) -> str:
    counts = {"count": len(sample), "total": recorded_count}
    if session.backend.is_local:
        return ngettext(
            "Repeating {count:,} of {total:,} recorded prompt on this machine.",
            "Repeating {count:,} of {total:,} recorded prompts on this machine.",
            recorded_count,
        ).format(**counts)
    requests = [_build_request(session, interaction) for interaction in sample]
    costs = [
        session.estimate_cost(request, session.resolve_model(request.model))
        for request in requests
    ]
    known_costs = [cost for cost in costs if cost is not None]
    typical, high = (
        sum(cost.typical for cost in known_costs),
        sum(cost.bounded.high for cost in known_costs),
    )
    unknown_count = len(costs) - len(known_costs)
    cost_text = ngettext(
        "Repeating {count:,} of {total:,} recorded prompt: {estimate} neurons. Budgets apply.",
        "Repeating {count:,} of {total:,} recorded prompts: {estimate} neurons. Budgets apply.",
        recorded_count,
    ).format(estimate=format_estimate(typical, high), **counts)
    if not unknown_count:
        return cost_text
    unknown_note = ngettext(
        "The price of {count:,} prompt is unknown.",
        "The price of {count:,} prompts is unknown.",
        unknown_count,
    ).format(count=unknown_count)
    return f"{cost_text} {unknown_note}"


def _ask_again(session: Session, sample: Sequence[Interaction]) -> _VerifyResult:
    result = _VerifyResult()
    with session.recorder.mode_resolver.pause():
        for interaction in sample:
            try:
                comparison = _ask_and_compare(session, interaction, result)
            except KeyboardInterrupt:
                result.is_interrupted = True
                break
            result.rows.append(
                (
                    _format_question(interaction),
                    interaction.model,
                    format_date(interaction.date),
                    comparison,
                )
            )
    return result


def _ask_and_compare(session: Session, interaction: Interaction, result: _VerifyResult) -> str:
    try:
        answer = session.ask(_build_request(session, interaction))
    except (MissingCredentialsError, PrivacyError):
        raise
    except ModelNotFoundError as error:
        return _("retired: {reason}").format(reason=error.cause)
    except CfaiError as error:
        return _("no answer: {reason}").format(reason=error.cause)
    result.usage += answer.usage
    return _describe_change(interaction, answer)


def _describe_change(interaction: Interaction, answer: Answer) -> str:
    recorded_text = interaction.text
    if recorded_text == answer.text:
        change = _("same text")
    else:
        similarity = SequenceMatcher(
            None, recorded_text.split(), answer.text.split(), autojunk=False
        ).ratio()
        change = _("{percent} similar: {difference}").format(
            percent=format_percent(similarity),
            difference=first_difference(recorded_text, answer.text),
        )
    if interaction.finish_reason == answer.finish_reason:
        return change
    return _("{change}; finish reason now {reason}").format(
        change=change, reason=answer.finish_reason
    )


def _format_question(interaction: Interaction) -> str:
    content = interaction.request.fields["messages"][-1].get("content", "")
    return shorten_line(str(content), MAX_QUESTION_CHARS)


def _build_notes(
    session: Session, interactions: Sequence[Interaction], result: _VerifyResult
) -> list[str]:
    usage = result.usage
    cost_note = (
        _(COST_NOTES[usage.cost_basis]).format(neurons=format_neurons(usage.neurons))
        if usage.neurons and usage.cost_basis
        else ""
    )
    interrupt_note = (
        _("Interrupted: the other prompts were not sent.") if result.is_interrupted else ""
    )
    wording_note = _("Models can word the same answer differently, so compare the content.")
    skipped_note = _skipped_note(session, interactions)
    return [
        *filter(None, (interrupt_note, cost_note, skipped_note)),
        wording_note,
        *_retirement_notes(session, interactions),
    ]


def _skipped_note(session: Session, interactions: Sequence[Interaction]) -> str:
    """Return a note with the number of prompts that can't be repeated for each reason.

    Returns "" if all prompts can be repeated.
    """
    reason_counts = Counter(
        filter(None, (_skip_reason(session, interaction) for interaction in interactions))
    )
    reasons_text = ", ".join(
        f"{reason} ({count:,})" for reason, count in sorted(reason_counts.items())
    )
    return _("Not repeatable: {reasons}.").format(reasons=reasons_text) if reasons_text else ""


def _retirement_notes(session: Session, interactions: Sequence[Interaction]) -> list[str]:
    """Return notes on the recorded models that are retired or have a retirement date."""
    catalog = _load_newest_catalog(session)
    recorded_models = {
        interaction.request.model
        for interaction in interactions
        if not interaction.request.local_model
    }
    # Models on other servers have names without "@" and are not in the catalog.
    listed_names = sorted(name for name in recorded_models if name.startswith("@"))
    if session.backend.class_server is not None:  # it lists only the models of the class
        names = {model.name for model in catalog.models}
        listed_names = [name for name in listed_names if name in names]
    return [line for name in listed_names for line in _describe_retirement(name, catalog)]


def _load_newest_catalog(session: Session) -> Catalog:
    try:
        return session.fetch_catalog()
    except CfaiError:
        return session.catalog()


def _describe_retirement(name: str, catalog: Catalog) -> list[str]:
    model_by_name = {model.name: model for model in catalog.models}
    if name not in model_by_name:
        message = _("{model} is retired: it is not in the model list of {date}.")
        return [message.format(model=name, date=format_date(catalog.date))]
    deprecation_date = model_by_name[name].deprecation_date
    if not deprecation_date:
        return []
    is_past = deprecation_date <= datetime.now(UTC).date().isoformat()
    message = (
        _("{model} was retired on {date}.") if is_past else _("{model} will be retired on {date}.")
    )
    return [message.format(model=name, date=format_date(deprecation_date))]
