"""Resolve the model of a request, and check whether it may run now."""

from datetime import UTC, datetime
from uuid import uuid4

from .catalogue import Model
from .errors import Refusal, refusal
from .exchange import Exchange


def named(exchange: Exchange, name: object) -> Model:
    """Return the model. Raises Refusal if it is unknown, retired or not available."""
    model = exchange.cloud.catalogue.get(name)
    if model is None:
        raise unknown(exchange, name)
    check_retired(exchange, model)
    check_access(exchange, model)
    return model


def unknown(exchange: Exchange, name: object) -> Refusal:
    """Return the error for an unknown model: no route on the native path, else no model."""
    if "/ai/v1/" in exchange.received.path:
        return refusal(5007, f"No such model {name} or task")
    return refusal(7000)


def check_retired(exchange: Exchange, model: Model) -> None:
    """Raise Refusal for a model that is retired by its date or by a switch."""
    today = datetime.fromtimestamp(exchange.cloud.clock(), UTC).date().isoformat()
    past = bool(model.retires) and model.retires <= today
    if past or model.name in exchange.switches.retired:
        date = model.retires or today
        raise refusal(
            5028,
            f"Model has been deprecated: This model was deprecated on {date}. "
            "Please use an alternative model.",
        )


def check_access(exchange: Exchange, model: Model) -> None:
    """Raise Refusal for a model that needs the paid plan, a license or private access."""
    accounts = exchange.cloud.accounts
    if model.access == "paid" and accounts.plan == "free":
        raise refusal(
            5035,
            f"Model {model.name} is not available on the Workers Free plan: "
            "This model requires a Workers Paid plan.",
        )
    if model.access == "private":
        raise refusal(5018)
    if model.access == "license" and model.name not in accounts.licenses:
        if exchange.body.get("prompt") != "agree":
            raise refusal(5016)
        accounts.licenses.add(model.name)


def let_in(exchange: Exchange, model: Model) -> None:
    """Count one call of this model. Raises Refusal if it is busy or a limit is reached."""
    if exchange.switches.busy:
        raise refusal(3040)
    exchange.cloud.ledger.admit(model, exchange.switches)


def headers(exchange: Exchange, model: Model, neurons: float | None = None) -> dict[str, str]:
    """Return the headers of each answer; `neurons` is None for a stream."""
    found = {"cf-ai-req-id": str(uuid4())}
    # phoenix-1.0 is the one model recorded without the header.
    omitted = exchange.switches.omit_neurons_header or model.name.endswith("/phoenix-1.0")
    if neurons is not None and not omitted:
        found["cf-ai-neurons"] = f"{neurons:.2f}"
    return found
