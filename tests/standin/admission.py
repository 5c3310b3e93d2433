"""Which model a request means, and whether it may run now."""

from datetime import UTC, datetime
from uuid import uuid4

from .catalogue import Model
from .errors import Refusal, refusal
from .exchange import Exchange


def named(exchange: Exchange, name: object) -> Model:
    """Return the model of this name, unless it is unknown, retired or closed to the account."""
    model = exchange.cloud.catalogue.get(name)
    if model is None:
        raise unknown(exchange, name)
    check_retired(exchange, model)
    check_access(exchange, model)
    return model


def unknown(exchange: Exchange, name: object) -> Refusal:
    """Return the refusal of a name; the native path knows no such route, the other no model."""
    if "/ai/v1/" in exchange.received.path:
        return refusal(5007, f"No such model {name} or task")
    return refusal(7000)


def check_retired(exchange: Exchange, model: Model) -> None:
    """Refuse a model whose day is past, or that a switch retires."""
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
    """Refuse a model that this account has not the plan, the licence or the standing for."""
    accounts = exchange.cloud.accounts
    if model.access == "paid" and accounts.plan == "free":
        raise refusal(
            5035,
            f"Model {model.name} is not available on the Workers Free plan: "
            "This model requires a Workers Paid plan.",
        )
    if model.access == "private":
        raise refusal(5018)
    if model.access == "licence" and model.name not in accounts.licences:
        if exchange.body.get("prompt") != "agree":
            raise refusal(5016)
        accounts.licences.add(model.name)


def let_in(exchange: Exchange, model: Model) -> None:
    """Count one more call of this model, unless it is busy or a limit is reached."""
    if exchange.switches.busy:
        raise refusal(3040)
    exchange.cloud.ledger.admit(model, exchange.switches)


def headers(exchange: Exchange, model: Model, neurons: float | None = None) -> dict[str, str]:
    """Return what every answer of a model bears; `neurons` only where it is not streamed."""
    found = {"cf-ai-req-id": str(uuid4())}
    # phoenix-1.0 is the one model recorded without the header.
    silent = exchange.switches.omit_neurons_header or model.name.endswith("/phoenix-1.0")
    if neurons is not None and not silent:
        found["cf-ai-neurons"] = f"{neurons:.2f}"
    return found
