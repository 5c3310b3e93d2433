"""Ask some recorded questions again, and show what changed since."""

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
from ..display.tables import Table, format_date, format_neurons, format_range
from ..errors import CfaiError, InvalidOptionError, MissingCredentialsError, ModelNotFoundError
from ..paths import parse_user_path
from ..replay.fingerprint import to_request
from ..replay.interaction import Interaction
from ..replay.mismatch import first_difference
from ..session.session import Session
from ..texts import format_percent, shorten_line
from ..types.messages import Answer, Request
from ..types.usage import Catalog, Usage

OPTIONS = (
    Option("path", nargs="?", default="", help="the recording; the one in use"),
    Option("-n", "--number", type=int, default=5, metavar="N", help="how many (5)"),
)


COLUMNS = ("question", "model", "recorded", "now")
MAX_QUESTION_CHARS = 40  # characters of a question


@dataclass
class _VerifyResult:
    """What came of asking again: a row a question, and what it took."""

    rows: list[tuple[str, ...]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    is_interrupted: bool = False


def run(frontend: Frontend, options: Namespace) -> Table:
    """Ask a sample of the recorded questions again and return what is other than recorded."""
    if options.number < 1:
        raise InvalidOptionError(f"-n {options.number} is no sample", "Use 1 or more.")
    session = frontend.session
    session.recorder.mode_resolver.check_network_allowed()
    with session.recorder.mode_resolver.pause():  # it asks, also where nothing else does
        session.backend.ensure_local_server()
    path = _resolve_path(session, options.path)
    interactions = session.recorder.cassette(path).contents().interactions
    repeatable = [
        interaction for interaction in interactions if not _skip_reason(session, interaction)
    ]
    if not repeatable:
        raise InvalidOptionError(
            f"{path} holds no answer that can be asked for again", _repeatable_hint(session)
        )
    sample = random.sample(repeatable, min(options.number, len(repeatable)))
    frontend.print(_describe_cost(session, sample, len(interactions)))
    result = _ask_again(session, sample)
    return Table(
        COLUMNS, tuple(result.rows), "\n".join(_build_notes(session, interactions, result))
    )


def _resolve_path(session: Session, path_text: str) -> Path:
    path = parse_user_path(path_text) if path_text else session.recorder.record_mode.path
    if path is None or not path.is_file():
        raise InvalidOptionError(
            f"There is no recording{f' {path}' if path else ''}",
            "%cfai replay auto makes one; or give its path: %cfai verify lesson.cfai.jsonl.",
        )
    return path


def _skip_reason(session: Session, interaction: Interaction) -> str:
    """Return why a question can't be asked again: recorded in part, or by another server."""
    request = interaction.request
    server = session.backend.local_server
    if request.task != "chat":
        return "of another task than text"
    if request.has_hashed_content:
        return "with images, which are kept as hashes alone"
    if request.local_model != (server.model_name if server else ""):
        return "of a local model" if request.local_model else "of Workers AI"
    return ""


def _repeatable_hint(session: Session) -> str:
    if session.backend.is_local:
        return "The model on this machine is asked again only for its own answers."
    return (
        "Asked again are answers in text, from Workers AI, to questions without images. Those of "
        "a local model are while it is on: %cfai local."
    )


def _build_request(session: Session, interaction: Interaction) -> Request:
    model = session.resolve_model(interaction.request.model)
    think = bool(interaction.request.fields.get("think")) if model.reasoning else None
    return to_request(interaction.request, model.name, think=think)


def _describe_cost(session: Session, sample: Sequence[Interaction], recorded_count: int) -> str:
    sample_text = f"Asking {len(sample):,} of {recorded_count:,} recorded answers again"
    if session.backend.is_local:
        return f"{sample_text}, on this machine."
    requests = [_build_request(session, interaction) for interaction in sample]
    costs = [
        session.accounting.estimate_cost(request, session.resolve_model(request.model))
        for request in requests
    ]
    known_costs = [cost for cost in costs if cost is not None]
    low, high = sum(cost.low for cost in known_costs), sum(cost.high for cost in known_costs)
    unknown_count = len(costs) - len(known_costs)
    unknown_note = f", and {unknown_count:,} of them have no known price" if unknown_count else ""
    cost_range = format_range(low, high)
    return f"{sample_text}: that may cost {cost_range} neurons{unknown_note}. Budgets hold."


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
    except MissingCredentialsError:
        raise
    except ModelNotFoundError as error:
        return f"retired: {error.cause}"
    except CfaiError as error:
        return f"no answer: {error.cause}"
    result.usage += answer.usage
    return _describe_change(interaction, answer)


def _describe_change(interaction: Interaction, answer: Answer) -> str:
    recorded_text = interaction.text
    finish_note = (
        ""
        if interaction.finish_reason == answer.finish_reason
        else f"; ended by {answer.finish_reason} now"
    )
    if recorded_text == answer.text:
        return f"the same text{finish_note}"
    similarity = SequenceMatcher(
        None, recorded_text.split(), answer.text.split(), autojunk=False
    ).ratio()
    percent = format_percent(similarity)
    return f"{percent} alike: {first_difference(recorded_text, answer.text)}{finish_note}"


def _format_question(interaction: Interaction) -> str:
    content = interaction.request.fields["messages"][-1].get("content", "")
    return shorten_line(str(content), MAX_QUESTION_CHARS)


def _build_notes(
    session: Session, interactions: Sequence[Interaction], result: _VerifyResult
) -> list[str]:
    usage = result.usage
    cost_note = (
        f"It took {format_neurons(usage.neurons)} neurons {usage.cost_basis}."
        if usage.neurons
        else ""
    )
    interrupt_note = "Interrupted: the rest was not asked." if result.is_interrupted else ""
    wording_note = "Models are free to word the same answer otherwise: see what it says."
    skipped_note = _skipped_note(session, interactions)
    return [
        *filter(None, (interrupt_note, cost_note, skipped_note)),
        wording_note,
        *_retirement_notes(session, interactions),
    ]


def _skipped_note(session: Session, interactions: Sequence[Interaction]) -> str:
    """Return how many answers no sample of these may hold, and why."""
    reason_counts = Counter(
        filter(None, (_skip_reason(session, interaction) for interaction in interactions))
    )
    reasons_text = ", ".join(
        f"{count:,} {reason}" for reason, count in sorted(reason_counts.items())
    )
    return f"Can't be asked again: {reasons_text}." if reasons_text else ""


def _retirement_notes(session: Session, interactions: Sequence[Interaction]) -> list[str]:
    """Return a line for each recorded model that is no more, or will soon be no more."""
    catalog = _load_newest_catalog(session)
    recorded_models = {
        interaction.request.model
        for interaction in interactions
        if not interaction.request.local_model
    }
    # Other servers have other names for models, and their lists are not known here.
    listed_names = sorted(name for name in recorded_models if name.startswith("@"))
    return [line for name in listed_names for line in _describe_retirement(name, catalog)]


def _load_newest_catalog(session: Session) -> Catalog:
    try:
        return session.fetch_catalog()
    except CfaiError:
        return session.catalog()


def _describe_retirement(name: str, catalog: Catalog) -> list[str]:
    model_by_name = {model.name: model for model in catalog.models}
    if name not in model_by_name:
        return [f"{name} is not in the list of models of {format_date(catalog.date)}: retired."]
    deprecation_date = model_by_name[name].deprecation_date
    if not deprecation_date:
        return []
    is_past = deprecation_date <= datetime.now(UTC).date().isoformat()
    tense = "was" if is_past else "will be"
    return [f"{name} {tense} retired on {format_date(deprecation_date)}."]
