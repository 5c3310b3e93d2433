"""What JupyterLab is told of a session: its state, today's neurons, models, estimates.

Numbers, names of models and lines of ours: nothing of a question or answer, and no credential.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, Literal

from ..credentials.store import without_tokens
from ..errors import CfaiError, NoCredentials
from ..neurons.pricing import Cost, Extent
from ..session import Session
from ..store.budgets import Place
from ..values import Limit, Model, Standing

Payer = Literal["account", "local", "elsewhere", "nobody", "unknown"]
Reply = Callable[[Session, Mapping[str, Any]], dict[str, Any]]
CHAT = "Text Generation"
TRAITS = ("vision", "tools", "reasoning")


def state(session: Session) -> dict[str, Any]:
    """Return what is in use, and where today stands; `day` is None where none is counted."""
    payer, day = _payer(session), None
    if payer == "account":
        try:
            day = _day(session, session.standing())
        except CfaiError as error:
            payer = "nobody" if isinstance(error, NoCredentials) else "unknown"
    return {"payer": payer, "model": without_tokens(_model_name(session)), "day": day}


def _payer(session: Session) -> Payer:
    if session.settings.local:
        return "local"
    try:
        return "elsewhere" if session.route.elsewhere else "account"
    except CfaiError:
        return "unknown"


def _model_name(session: Session) -> str:
    try:
        return session.model(session.settings.model).name
    except CfaiError:  # the next question tells it
        return session.settings.model


def _day(session: Session, day: Standing) -> dict[str, Any]:
    """Return the day in neurons: what runs is part of what is reserved, and here apart from it."""
    running = sum(each.usage.neurons or 0.0 for each in session.running)
    told = day.account
    return {
        "billed": day.billed,
        "estimated": day.estimated,
        "running": running,
        "reserved": max(0.0, day.reserved - running),
        "limit": day.limit,
        "closed": day.closed,
        "resets": 60 * round((session.now().timestamp() + day.seconds_left) / 60),
        "account": {"neurons": told.neurons, "told": told.told} if told else None,
    }


def today(session: Session, _asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return today's neurons by model and by hour (UTC), and the budgets that hold."""
    account = session.route.payer()
    ledger = session.books.ledger
    return {
        "models": [
            {"name": each.name, "calls": each.calls, "neurons": each.neurons}
            for each in ledger.history.totals("model", 1, account)
        ],
        "hours": ledger.history.hours(account),
        "budgets": [
            _budget(limit) for limit in ledger.budgets.limits(Place(account, session.notebook))
        ],
    }


def _budget(limit: Limit) -> dict[str, Any]:
    return {"scope": limit.scope, "neurons": limit.neurons, "spent": limit.spent}


def models(session: Session, _asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the models that chat and that the course allows, with their prices."""
    catalogue = session.catalogue()
    found = [model for model in catalogue.models if model.task == CHAT]
    return {
        "date": catalogue.date,
        "models": [_listed(model) for model in found if _is_allowed(session, model)],
    }


def _is_allowed(session: Session, model: Model) -> bool:
    try:
        session.settings.course.check_model(model.name)
    except CfaiError:
        return False
    return True


def _listed(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "in": model.neurons_in,
        "out": model.neurons_out,
        "paid": model.paid_plan_only,
        "traits": [trait for trait in TRAITS if getattr(model, trait)],
    }


def use(session: Session, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Make a model this kernel's default, as %cfai use does; a course may refuse it."""
    session.settings.model = session.catalogue_model(str(asked["model"])).name
    return {}


def estimate(session: Session, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a cell may cost, from the sizes of its texts alone: they do not come here."""
    if session.settings.local:
        return {"low": 0.0, "high": 0.0}
    names = [str(name) for name in asked["models"]] or [session.settings.model]
    texts = [_size(text) for text in asked["texts"]]
    system = session.settings.system
    if system and not asked["system"]:
        texts.append((len(system), len(system.encode(errors="replace"))))
    tokens = int(asked["max_tokens"] or session.settings.max_tokens)
    extent = Extent.of_sizes(texts, images=int(asked["images"]), max_tokens=tokens)
    found = _sum(
        [session.cost(extent, session.model(name)) for name in names], int(asked["times"])
    )
    if found and asked["max_neurons"]:
        found = found.within(float(asked["max_neurons"]))
    return {"low": found.low if found else None, "high": found.high if found else None}


def _size(text: Sequence[Any]) -> tuple[int, int]:
    characters, size = text
    return int(characters), int(size)


def _sum(costs: Sequence[Cost | None], times: int) -> Cost | None:
    """Return what all answers may cost, so many times each; None where one has no known price."""
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    whole = reduce(add, known)
    return Cost(
        whole.prompt * times, whole.least * times, whole.per_token * times, whole.max_tokens
    )


REPLIES: Mapping[str, Reply] = {
    "today": today,
    "models": models,
    "use": use,
    "estimate": estimate,
}
