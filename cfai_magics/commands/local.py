"""The command about the model on this machine: answer from it, stop that, serve it."""

from argparse import Namespace
from pathlib import Path

from ..session import LOCAL_MODEL, Session
from ..settings import keep_settings
from . import Door


def local(door: Door, options: Namespace) -> str:
    """Answer from a model on this machine, or end that, or serve it to other programs."""
    if options.what == "serve":
        return _serve(door, options)
    if options.what == "off":
        door.session.stop_local()
        kept = ""
    else:
        kept = options.what
        if kept != LOCAL_MODEL:
            kept = str(Path(kept).expanduser().absolute())
        door.session.start_local(kept, door.progress("Fetching the small model"))
    if door.remembers:
        keep_settings(door.session.home, {"local": kept})
    return _told(door.session)


def _told(session: Session) -> str:
    if session.server is None:
        return "Questions go to Workers AI again."
    return (
        f"Questions now go to {session.server.model_name} on this machine: no account, no "
        "neurons. Its answers are real, but those of a small model. %cfai local off ends it."
    )


def _serve(door: Door, options: Namespace) -> str:
    from ..local import serve

    progress = door.progress("Fetching the small model")
    path = door.session.local_model(options.path or LOCAL_MODEL, progress)
    serve(path, port=options.port, log_dir=door.session.home / "logs", announce=door.say)
    return "The server has stopped."
