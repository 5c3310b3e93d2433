"""The command that asks some recorded questions again, and shows what changed since."""

import random
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import SequenceMatcher
from pathlib import Path

from ..asking.door import Door
from ..errors import BadOption, CfaiError, NoCredentials, UnknownModel
from ..paths import user_path
from ..render.formats import Table, between, day, neurons
from ..replay import Record, first_difference, request_of
from ..session import Session
from ..values import Answer, Catalogue, Request, Usage

COLUMNS = ("question", "model", "recorded", "now")
LONGEST = 40  # characters of a question


@dataclass
class _Verified:
    """What came of asking again: a row a question, and what it took."""

    rows: list[tuple[str, ...]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    interrupted: bool = False


def verify(door: Door, options: Namespace) -> Table:
    """Ask a sample of the recorded questions again and return what is other than recorded."""
    if options.number < 1:
        raise BadOption(f"-n {options.number} is no sample", "Use 1 or more.")
    session = door.session
    session.replay.choice.check_asking()
    with session.replay.choice.paused():  # it asks, also where nothing else does
        session.route.start_if_local()
    path = _path(session, options.path)
    records = session.replay.shelf(path).contents().records
    askable = [record for record in records if not _hindrance(session, record)]
    if not askable:
        raise BadOption(f"{path} holds no answer that can be asked for again", _why(session))
    sample = random.sample(askable, min(options.number, len(askable)))
    door.say(_price(session, sample, len(records)))
    verified = _asked_again(session, sample)
    return Table(COLUMNS, tuple(verified.rows), "\n".join(_notes(session, records, verified)))


def _path(session: Session, named: str) -> Path:
    path = user_path(named) if named else session.replay.way.path
    if path is None or not path.is_file():
        raise BadOption(
            f"There is no recording{f' {path}' if path else ''}",
            "%cfai replay auto makes one; or give its path: %cfai verify lesson.cfai.jsonl.",
        )
    return path


def _hindrance(session: Session, record: Record) -> str:
    """Return why a question can't be asked again: it stands there in part, or another answered."""
    asked = record.asked
    server = session.route.server
    if asked.task != "chat":
        return "of another task than text"
    if asked.has_images:
        return "with images, which are kept as hashes alone"
    if asked.local != (server.model_name if server else ""):
        return "of a local model" if asked.local else "of Workers AI"
    return ""


def _why(session: Session) -> str:
    if session.route.is_local:
        return "The model on this machine is asked again only for its own answers."
    return (
        "Asked again are answers in text, from Workers AI, to questions without images. Those of "
        "a local model are while it is on: %cfai local."
    )


def _request(session: Session, record: Record) -> Request:
    model = session.model(record.asked.model)
    thinks = bool(record.asked.fields.get("think")) if model.reasoning else None
    return request_of(record.asked, model.name, thinks=thinks)


def _price(session: Session, sample: Sequence[Record], all_: int) -> str:
    told = f"Asking {len(sample):,} of {all_:,} recorded answers again"
    if session.route.is_local:
        return f"{told}, on this machine."
    requests = [_request(session, record) for record in sample]
    costs = [session.books.cost(each, session.model(each.model)) for each in requests]
    known = [cost for cost in costs if cost is not None]
    low, high = sum(cost.low for cost in known), sum(cost.high for cost in known)
    unknown = len(costs) - len(known)
    more = f", and {unknown:,} of them have no known price" if unknown else ""
    return f"{told}: that may cost {between(low, high)} neurons{more}. Budgets hold."


def _asked_again(session: Session, sample: Sequence[Record]) -> _Verified:
    verified = _Verified()
    with session.replay.choice.paused():
        for record in sample:
            try:
                verdict = _verdict(session, record, verified)
            except KeyboardInterrupt:
                verified.interrupted = True
                break
            verified.rows.append((_question(record), record.model, day(record.date), verdict))
    return verified


def _verdict(session: Session, record: Record, verified: _Verified) -> str:
    try:
        answer = session.ask(_request(session, record))
    except NoCredentials:
        raise
    except UnknownModel as error:
        return f"retired: {error.cause}"
    except CfaiError as error:
        return f"no answer: {error.cause}"
    verified.usage += answer.usage
    return _compared(record, answer)


def _compared(record: Record, answer: Answer) -> str:
    was = record.text
    ended = "" if record.finish == answer.finish else f"; ended by {answer.finish} now"
    if was == answer.text:
        return f"the same text{ended}"
    alike = SequenceMatcher(None, was.split(), answer.text.split(), autojunk=False).ratio()
    percent = f"{alike:.0%}".replace("%", " %")
    return f"{percent} alike: {first_difference(was, answer.text)}{ended}"


def _question(record: Record) -> str:
    content = record.asked.fields["messages"][-1].get("content", "")
    text = " ".join(str(content).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _notes(session: Session, records: Sequence[Record], verified: _Verified) -> list[str]:
    usage = verified.usage
    took = f"It took {neurons(usage.neurons)} neurons {usage.basis}." if usage.neurons else ""
    stopped = "Interrupted: the rest was not asked." if verified.interrupted else ""
    sampled = "Models are free to word the same answer otherwise: see what it says."
    left_out = _left_out(session, records)
    return [*filter(None, (stopped, took, left_out)), sampled, *_retired(session, records)]


def _left_out(session: Session, records: Sequence[Record]) -> str:
    """Return how many answers no sample of these may hold, and why."""
    why = Counter(filter(None, (_hindrance(session, record) for record in records)))
    told = ", ".join(f"{number:,} {what}" for what, number in sorted(why.items()))
    return f"Can't be asked again: {told}." if told else ""


def _retired(session: Session, records: Sequence[Record]) -> list[str]:
    """Return a line for each recorded model that is no more, or will soon be no more."""
    catalogue = _newest(session)
    asked = {record.asked.model for record in records if not record.asked.local}
    # What other servers have is named otherwise, and their lists are not known here.
    listed = sorted(name for name in asked if name.startswith("@"))
    return [line for name in listed for line in _fate(name, catalogue)]


def _newest(session: Session) -> Catalogue:
    try:
        return session.fetch_catalogue()
    except CfaiError:
        return session.catalogue()


def _fate(name: str, catalogue: Catalogue) -> list[str]:
    known = {model.name: model for model in catalogue.models}
    if name not in known:
        return [f"{name} is not in the list of models of {day(catalogue.date)}: retired."]
    retires = known[name].retires
    if not retires:
        return []
    past = retires <= datetime.now(UTC).date().isoformat()
    return [f"{name} {'was retired' if past else 'will be retired'} on {day(retires)}."]
