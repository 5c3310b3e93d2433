"""Answer from a model on this machine, stop it, or serve it."""

from argparse import Namespace

from ..backends.selector import LOCAL_MODEL
from ..chat.frontend import Frontend
from ..chat.options import Option
from ..errors import InvalidOptionError, LocalModelError
from ..paths import parse_user_path
from ..session.session import Session
from ..settings import update_settings_file

OPTIONS = (
    Option("what", nargs="?", default="small", help="off, serve, or a GGUF file's path"),
    Option("path", nargs="?", default="", help="with serve: a GGUF file's path"),
    Option("--port", type=int, default=0, help="with serve: the port"),
)


MAX_PORT = 65_535


def run(frontend: Frontend, options: Namespace) -> str:
    """Answer from a model on this machine, or end that, or serve it to other programs."""
    session = frontend.session
    if options.what == "serve":
        return _serve_model(frontend, options)
    if options.what == "off":
        session.backend.stop_local()
        return _save_choice(frontend, "")
    if not (session.recorder.mode_resolver.is_network_allowed() or frontend.is_one_shot):
        return _not_needed_message(session)
    requested = options.what
    model_or_path = (
        requested if requested == LOCAL_MODEL else str(parse_user_path(requested).absolute())
    )
    _start_server(frontend, model_or_path)
    return _save_choice(frontend, model_or_path)


def _not_needed_message(session: Session) -> str:
    return (
        f"Only recorded answers are used here ({session.recorder.record_mode.source}): nothing is "
        "asked, so "
        "no model is fetched or started."
    )


def _start_server(frontend: Frontend, model_or_path: str) -> None:
    try:
        frontend.session.backend.start_local(
            model_or_path, frontend.start_progress("Fetching the small model")
        )
    except LocalModelError as error:
        if (
            model_or_path == LOCAL_MODEL
            and frontend.session.recorder.mode_resolver.has_recordings()
        ):
            error.hint += " Or use the recorded answers alone: %cfai replay only."
        raise


def _save_choice(frontend: Frontend, model_or_path: str) -> str:
    if frontend.is_one_shot:
        update_settings_file(frontend.session.home, {"local": model_or_path})
    return _describe_backend(frontend.session)


def _describe_backend(session: Session) -> str:
    if session.backend.local_server is None:
        has_recordings = session.recorder.mode_resolver.has_recordings()
        replay_note = (
            " Those recorded are replayed until %cfai replay off." if has_recordings else ""
        )
        return f"Questions go to Workers AI again.{replay_note}"
    is_small_model = session.settings.local == LOCAL_MODEL
    warning = "Its answers are real, but those of a small model. " if is_small_model else ""
    return (
        f"Questions now go to {session.backend.local_server.model_name} on this machine: "
        "no account, no "
        f"neurons. {warning}%cfai local off ends it."
    )


def _serve_model(frontend: Frontend, options: Namespace) -> str:
    from ..backends.local_server import serve

    if not 0 <= options.port <= MAX_PORT:
        raise InvalidOptionError(f"--port {options.port} is no port", f"Use 1 to {MAX_PORT}.")
    progress = frontend.start_progress("Fetching the small model")
    model_path = frontend.session.backend.get_local_model_path(
        options.path or LOCAL_MODEL, progress
    )
    serve(
        model_path,
        port=options.port,
        log_dir=frontend.session.home / "logs",
        announce=frontend.print,
    )
    return "The server has stopped."
