"""Implement the kernel side of the JupyterLab comm."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from .. import forks, runtime
from ..errors import CfaiError, MissingCredentialsError
from ..i18n import _, set_language
from ..types.usage import CHAT_TASK

if TYPE_CHECKING:
    from comm.base_comm import BaseComm

    from ..session.observers import Unwatch
    from ..session.session import Session
    from ..types.usage import DayUsage, Limit, Model
    from .completion import CfaiMatcher

BillingTarget = Literal["account", "class", "local", "elsewhere", "none", "unknown"]
MessageHandler = Callable[["Request"], dict[str, Any]]
MODEL_CAPABILITIES = ("vision", "tools", "reasoning")
# The target name is also used as the comm ID. A reloaded page can therefore recognize the comm
# when the next message arrives, without waiting for a reply from a busy kernel.
TARGET_NAME = "cfai-magics"
PROTOCOL_VERSION = 1


class Request(NamedTuple):
    """A request of a page, with the parts of the kernel that answer it."""

    message: Mapping[str, Any]
    session: "Session"
    matcher: "CfaiMatcher"


def build_state(session: "Session") -> dict[str, Any]:
    """Return a dict with the billing target, the model and today's usage.

    The value of `day` is today's usage, or None if calls are not billed to an account, or if the
    budget of a student is unknown.
    """
    from ..redaction import redact_tokens

    billing_target, day_json = _get_billing_target(session), None
    if billing_target == "account":
        try:
            day_usage = session.day_usage()
            billing_target = "class" if day_usage.is_class else "account"
            day_json = _day_usage_to_json(session, day_usage)
        except CfaiError as error:
            billing_target = "none" if isinstance(error, MissingCredentialsError) else "unknown"
    return {
        "payer": billing_target,
        "model": redact_tokens(_get_model_name(session)),
        "day": day_json,
    }


def _get_billing_target(session: "Session") -> BillingTarget:
    if session.settings.local:
        return "local"
    try:
        return "elsewhere" if session.backend.server else "account"
    except CfaiError:
        return "unknown"


def _get_model_name(session: "Session") -> str:
    try:
        return session.resolve_model(session.settings.model).name
    except CfaiError:  # the next prompt reports the error
        return session.settings.model


def _day_usage_to_json(session: "Session", day_usage: "DayUsage") -> dict[str, Any] | None:
    """Return a dict with today's usage in neurons, or None if the limit is unknown.

    The value of `reserved` does not include the neurons in `running`.
    """
    if day_usage.limit is None:
        return None
    running_neurons = sum(call.usage.neurons or 0.0 for call in session.active_calls)
    account_figure = day_usage.account
    return {
        "billed": day_usage.billed,
        "estimated": day_usage.estimated,
        "running": running_neurons,
        "reserved": max(0.0, day_usage.reserved - running_neurons),
        "elsewhere": day_usage.elsewhere,
        "limit": day_usage.limit,
        "source": day_usage.limit_source,
        "closed": day_usage.is_closed,
        "resets": 60 * round((session.now().timestamp() + day_usage.seconds_left) / 60),
        "account": {"neurons": account_figure.neurons, "reported": account_figure.reported_at}
        if account_figure
        else None,
    }


def handle_today(request: Request) -> dict[str, Any]:
    """Return today's neurons by model and by UTC hour, and the budgets that apply."""
    from ..storage.ledger import CallContext

    session = request.session
    account = session.backend.billing_account()
    ledger = session.accounting.ledger
    limits = session.accounting.limits(
        ledger.day_usage(account), CallContext(account, session.notebook)
    )
    return {
        "models": [
            {"name": row.name, "calls": row.calls, "neurons": row.neurons}
            for row in ledger.history.totals("model", 1, account)
        ],
        "hours": ledger.history.neurons_by_hour(account),
        "budgets": [_limit_to_json(limit) for limit in limits if limit.scope != "free"],
    }


def _limit_to_json(limit: "Limit") -> dict[str, Any]:
    return {
        "scope": limit.scope,
        "source": limit.source,
        "neurons": limit.neurons,
        "spent": limit.spent,
    }


def handle_models(request: Request) -> dict[str, Any]:
    """Return the chat models that the course allows, with their prices."""
    session = request.session
    catalog = session.catalog()
    chat_models = [model for model in catalog.models if model.task == CHAT_TASK]
    return {
        "date": catalog.date,
        "models": [_model_to_json(model) for model in chat_models if _is_allowed(session, model)],
    }


def _is_allowed(session: "Session", model: "Model") -> bool:
    try:
        session.settings.course.check_model(model.name)
    except CfaiError:
        return False
    return True


def _model_to_json(model: "Model") -> dict[str, Any]:
    return {
        "name": model.name,
        "in": model.neurons_in,
        "out": model.neurons_out,
        "paid": model.paid_plan_only,
        "traits": [capability for capability in MODEL_CAPABILITIES if getattr(model, capability)],
    }


def handle_use(request: Request) -> dict[str, Any]:
    """Set the kernel's default model, as `%cfai use` does, if the course allows the model."""
    session = request.session
    target = session.find_target(str(request.message["model"]), use_local=False)
    session.settings.model = target.model.name
    return {}


def handle_estimate(request: Request) -> dict[str, Any]:
    """Return the estimated cost of a cell in neurons, from the cell's source.

    The value of `estimate` is None if the cell has no estimate.
    """
    from ..chat.cell_estimate import estimate_cell

    estimate = estimate_cell(request.session, str(request.message["source"]))
    if estimate is None:
        return {"estimate": None}
    return {
        "estimate": {
            "typical": estimate.typical,
            "high": estimate.high,
            "expressions": estimate.has_expressions,
            "history": estimate.has_history,
        }
    }


def handle_complete(request: Request) -> dict[str, Any]:
    """Return the completions of a magic line, from the line's text up to the cursor.

    They replace the last `length` characters of the line. Texts with an API token are left out.
    """
    from ..redaction import redact_tokens

    completions = request.matcher.complete_line(str(request.message["line"]), is_first_line=True)
    if completions is None:
        return {"length": 0, "items": []}
    return {
        "length": len(completions.word),
        "items": [
            {
                "text": item.text,
                "type": item.type,
                "description": redact_tokens(item.description),
            }
            for item in completions.items
            if redact_tokens(item.text) == item.text
        ],
    }


def handle_panel(request: Request) -> dict[str, Any]:
    """Return the widget view of the session's panel, as display messages contain it.

    The page renders the view next to the notebook, so no output of a cell contains it.
    """
    from ..widgets.panel import open_panel

    model_id = open_panel(request.session).box.model_id
    return {"view": {"version_major": 2, "version_minor": 0, "model_id": model_id}}


HANDLERS: Mapping[str, MessageHandler] = {
    "today": handle_today,
    "models": handle_models,
    "use": handle_use,
    "estimate": handle_estimate,
    "complete": handle_complete,
    "panel": handle_panel,
}


_log = logging.getLogger(__name__)


class LabComm(forks.ChildForkHook):
    """The kernel's comm. All pages share it, so every page receives the same messages.

    A response has the same ID as its request. The state is sent after each change. Opening the
    comm is fast, because the session is not created until a page sends the first hello message.
    """

    def __init__(self, get_session: "Callable[[], Session]", matcher: "CfaiMatcher") -> None:
        self._get_session = get_session
        self._matcher = matcher
        self._lock = threading.RLock()  # several threads can report session changes
        self._comm: BaseComm | None = None
        self._unwatch: Unwatch | None = None
        self._last_state: Mapping[str, Any] = {}
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Forget the comm, which belongs to the parent process, and replace the lock."""
        self._lock = threading.RLock()
        self._comm = self._unwatch = None

    def open(self) -> None:
        """Open the comm, and send hello to the pages.

        The hello is a message of the comm, which other front ends ignore. For comm_open, nbclient
        would warn that it has no handler. Outside a kernel, the `comm` package sends no messages.
        """
        from comm import create_comm, get_comm_manager  # ipykernel has already imported it

        comm = create_comm(target_name=TARGET_NAME, comm_id=TARGET_NAME, primary=False)
        comm.on_msg(self._on_message)
        comm.on_close(lambda _message: self._on_close())
        get_comm_manager().register_comm(comm)
        self._comm = comm
        self._send({"type": "hello", **self._open_channel()})

    def _open_channel(self) -> dict[str, str]:
        """Return a dict with the BroadcastChannel of a kernel in the browser, or an empty one."""
        if not runtime.IS_BROWSER:
            return {}
        from ..browser_page import open_page

        return {
            "channel": open_page(lambda active: self._send({"type": "active", "active": active}))
        }

    def close(self) -> None:
        """Close the comm and stop watching the session. Closing it again has no effect."""
        if runtime.IS_BROWSER:
            from ..browser_page import close_page

            close_page()
        comm = self._comm
        self._on_close()
        if comm is not None:
            comm.close()

    def _on_close(self) -> None:
        with self._lock:
            self._comm = None
            if self._unwatch is not None:
                self._unwatch()
                self._unwatch = None

    def _on_message(self, message: Mapping[str, Any]) -> None:
        data = message["content"]["data"]
        if data.get("version") != PROTOCOL_VERSION:  # the page reports the mismatch
            return
        if data.get("type") == "hello":
            self._on_hello(data.get("locale"))
        else:
            self._send({**self._handle_request(data), "id": data.get("id")})

    def _on_hello(self, locale: object) -> None:
        if isinstance(locale, str):  # older pages do not send a locale
            set_language("front end", locale)
        with self._lock:
            if self._unwatch is None:
                self._unwatch = self._get_session().watch(self._push_state)
            self._last_state = {}  # a new page needs the state even if it has not changed
            self._push_state()

    def _push_state(self) -> None:
        """Send the state if it has changed."""
        with self._lock:
            current_state = build_state(self._get_session())
            if current_state != self._last_state:
                self._last_state = current_state
                self._send({"type": "state", **current_state})

    def _handle_request(self, message: Mapping[str, Any]) -> dict[str, Any]:
        handler = HANDLERS.get(str(message.get("type")))
        try:
            if handler is None:
                return {"type": "refused", "why": _("Unknown message type.")}
            request = Request(message, self._get_session(), self._matcher)
            return {"type": message["type"], **handler(request)}
        except CfaiError as error:
            return {"type": "refused", "why": error.format_line()}
        except (KeyError, TypeError, ValueError):
            _log.debug("A message from JupyterLab is not valid", exc_info=True)
            return {"type": "refused", "why": _("The message is not valid.")}

    def _send(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            if self._comm is not None:
                self._comm.send({"version": PROTOCOL_VERSION, **message})
