"""The command about the model on this machine: answer from it, stop that, serve it."""

from argparse import Namespace
from pathlib import Path

from ..asking.door import Door
from ..errors import BadOption
from ..route.route import LOCAL_MODEL
from ..session import Session
from ..settings import keep_settings

HIGHEST_PORT = 65_535


def local(door: Door, options: Namespace) -> str:
    """Answer from a model on this machine, or end that, or serve it to other programs."""
    if options.what == "serve":
        return _serve(door, options)
    if options.what == "off":
        door.session.route.stop_local()
        kept = ""
    else:
        kept = options.what
        if kept != LOCAL_MODEL:
            kept = str(Path(kept).expanduser().absolute())
        door.session.route.start_local(kept, door.progress("Fetching the small model"))
    if door.remembers:
        keep_settings(door.session.home, {"local": kept})
    return _told(door.session)


def _told(session: Session) -> str:
    if session.route.server is None:
        return "Questions go to Workers AI again."
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
