"""Start or stop a model on this machine, or serve the model to other programs."""

from argparse import Namespace

from ..backends.selector import LOCAL_MODEL
from ..chat.frontend import Frontend
from ..chat.options import Option
from ..errors import InvalidOptionError, LocalModelError
from ..i18n import _, mark
from ..paths import parse_user_path
from ..session.session import Session
from ..settings import update_settings_file

OPTIONS = (
    Option(
        "what", nargs="?", default="small", help=mark("off, serve, or the path to a GGUF file")
    ),
    Option("path", nargs="?", default="", help=mark("with serve: the path to a GGUF file")),
    Option("--port", type=int, default=0, help=mark("with serve: the port")),
)


MAX_PORT = 65_535


def run(frontend: Frontend, options: Namespace) -> str:
    """Start a local model, switch back to Workers AI, or serve the model to other programs."""
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
    return _(
        "No model was downloaded or started, because all answers here are replayed from the "
        "recording ({source})."
    ).format(source=session.recorder.record_mode.source)


def _start_server(frontend: Frontend, model_or_path: str) -> None:
    try:
        frontend.session.backend.start_local(
            model_or_path, frontend.start_progress(_("Downloading the small model"))
        )
    except LocalModelError as error:
        if (
            model_or_path == LOCAL_MODEL
            and frontend.session.recorder.mode_resolver.has_recordings()
        ):
            replay_hint = _("Or use only the recorded answers: %cfai replay only.")
            error.hint = f"{error.hint} {replay_hint}"
        raise


def _save_choice(frontend: Frontend, model_or_path: str) -> str:
    if frontend.is_one_shot:
        update_settings_file(frontend.session.home, {"local": model_or_path})
    return _describe_backend(frontend.session)


def _describe_backend(session: Session) -> str:
    if session.backend.local_server is None:
        if session.recorder.mode_resolver.has_recordings():
            return _(
                "Now using Workers AI again. Recorded answers are replayed until %cfai replay off."
            )
        return _("Now using Workers AI again.")
    model = session.backend.local_server.model_name
    if session.settings.local == LOCAL_MODEL:
        return _(
            "Now using {model} on this machine: no account, no neurons. It is very small, so "
            "expect mistakes. %cfai local off switches back."
        ).format(model=model)
    return _(
        "Now using {model} on this machine: no account, no neurons. %cfai local off switches back."
    ).format(model=model)


def _serve_model(frontend: Frontend, options: Namespace) -> str:
    from ..backends.local_server import serve

    if not 0 <= options.port <= MAX_PORT:
        raise InvalidOptionError(
            _("--port {port} is not a valid port").format(port=options.port),
            _("Use 1 to {maximum}.").format(maximum=MAX_PORT),
        )
    progress = frontend.start_progress(_("Downloading the small model"))
    model_path = frontend.session.backend.get_local_model_path(
        options.path or LOCAL_MODEL, progress
    )
    serve(
        model_path,
        port=options.port,
        log_dir=frontend.session.home / "logs",
        announce=frontend.print,
    )
    return _("The server has stopped.")
