"""The command about the model on this machine: answer from it, stop that, serve it."""

from argparse import Namespace

from ..asking.door import Door
from ..errors import BadOption, LocalModelError
from ..paths import user_path
from ..route.route import LOCAL_MODEL
from ..session import Session
from ..settings import keep_settings

HIGHEST_PORT = 65_535


def local(door: Door, options: Namespace) -> str:
    """Answer from a model on this machine, or end that, or serve it to other programs."""
    session = door.session
    if options.what == "serve":
        return _serve(door, options)
    if options.what == "off":
        session.route.stop_local()
        return _chosen(door, "")
    if not (session.replay.choice.asks() or door.remembers):
        return _needless(session)
    named = options.what
    which = named if named == LOCAL_MODEL else str(user_path(named).absolute())
    _start(door, which)
    return _chosen(door, which)


def _needless(session: Session) -> str:
    return (
        f"Only recorded answers are used here ({session.replay.way.source}): nothing is asked, so "
        "no model is fetched or started."
    )


def _start(door: Door, which: str) -> None:
    try:
        door.session.route.start_local(which, door.progress("Fetching the small model"))
    except LocalModelError as error:
        if which == LOCAL_MODEL and door.session.replay.choice.holds_answers():
            error.hint += " Or use the recorded answers alone: %cfai replay only."
        raise


def _chosen(door: Door, which: str) -> str:
    if door.remembers:
        keep_settings(door.session.home, {"local": which})
    return _told(door.session)


def _told(session: Session) -> str:
    if session.route.server is None:
        recorded = session.replay.choice.holds_answers()
        but = " Those recorded are replayed until %cfai replay off." if recorded else ""
        return f"Questions go to Workers AI again.{but}"
    small = session.settings.local == LOCAL_MODEL
    warning = "Its answers are real, but those of a small model. " if small else ""
    return (
        f"Questions now go to {session.route.server.model_name} on this machine: no account, no "
        f"neurons. {warning}%cfai local off ends it."
    )


def _serve(door: Door, options: Namespace) -> str:
    from ..local import serve

    if not 0 <= options.port <= HIGHEST_PORT:
        raise BadOption(f"--port {options.port} is no port", f"Use 1 to {HIGHEST_PORT}.")
    progress = door.progress("Fetching the small model")
    path = door.session.route.local_model(options.path or LOCAL_MODEL, progress)
    serve(path, port=options.port, log_dir=door.session.home / "logs", announce=door.say)
    return "The server has stopped."
