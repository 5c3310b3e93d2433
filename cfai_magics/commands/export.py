"""Write a simple-one-api config.json for the account in use."""

import secrets
from argparse import Namespace
from pathlib import Path

from ..backends.selector import API_URL_VARIABLE
from ..backends.simple_one_api import ADDRESS, build_config
from ..chat.frontend import Frontend
from ..chat.options import Option
from ..errors import InvalidOptionError, SetupError
from ..i18n import _, mark
from ..paths import parse_user_path, write_user_file
from ..secret import Secret, call_without_traceback
from ..session.session import Session
from ..types.usage import CHAT_TASK
from ..workers_ai.client import CLOUDFLARE_API_URL

OPTIONS = (
    Option("what", choices=("simple-one-api",), help=mark("the program to configure")),
    Option(
        "path",
        nargs="?",
        default="",
        help=mark("the file (default: in the cfai-magics data folder)"),
    ),
    Option(
        "--anyway",
        action="store_true",
        help=mark("allow a folder of notebooks or a repository; the file contains your token"),
    ),
)


FILE_NAME = "simple-one-api.json"
EXPORTED_TASKS = (CHAT_TASK, "Text Embeddings")


def run(frontend: Frontend, options: Namespace) -> str:
    """Write a file that only the user can read, and return a message about the file."""
    session = frontend.session
    path = parse_user_path(options.path) if options.path else session.home / FILE_NAME
    if path.is_dir():
        path /= "config.json"
    if not options.anyway:
        _reject_exposed_path(path)
    chat_models, embedding_models = (_select_models(session, task) for task in EXPORTED_TASKS)
    _write_secret_file(path, _build_config_text(session, chat_models, embedding_models))
    return _(
        "Written to {path}, readable only by you (0600). It CONTAINS YOUR API TOKEN: keep it out "
        "of notebook folders, repositories and backups. Chat models: {chat_models}, embedding "
        "models: {embedding_models}. Start the server with simple-one-api {path}; it listens on "
        "{address} and requires the api_key in the file. Use it with %cfai login --server {url}"
    ).format(
        path=path.absolute(),
        chat_models=len(chat_models),
        embedding_models=len(embedding_models),
        address=ADDRESS,
        url=f"http://{ADDRESS}/v1",
    )


def _build_config_text(
    session: Session, chat_models: list[str], embedding_models: list[str]
) -> Secret:
    credentials = session.backend.credential_store.find()
    api_url = session.backend.environ.get(API_URL_VARIABLE) or CLOUDFLARE_API_URL
    server_url = f"{api_url.rstrip('/')}/accounts/{credentials.account_id}/ai/v1"
    api_key = f"sk-{secrets.token_urlsafe(32)}"
    return Secret.from_reader(
        lambda: build_config(
            server_url, credentials.api_token.reveal(), api_key, chat_models, embedding_models
        )
    )


def _select_models(session: Session, task: str) -> list[str]:
    """Return the names of the free-plan models for `task` that the course allows."""
    return [
        model.name
        for model in session.catalog().models
        if model.task == task and not model.paid_plan_only and _is_allowed(session, model.name)
    ]


def _is_allowed(session: Session, name: str) -> bool:
    try:
        session.settings.course.check_model(name)
    except SetupError:
        return False
    return True


def _reject_exposed_path(path: Path) -> None:
    """Raise InvalidOptionError if the file would be in a repository or a folder of notebooks."""
    folder = path.absolute().parent
    if any(folder.glob("*.ipynb")):
        cause = _("{path} contains your API token and would be in a folder of notebooks")
    elif any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        cause = _("{path} contains your API token and would be in a repository")
    else:
        return
    raise InvalidOptionError(
        cause.format(path=path),
        _("Leave out the path to use the data folder, or add --anyway."),
    )


def _write_secret_file(path: Path, text: Secret) -> None:
    if path.exists():
        raise InvalidOptionError(
            _("{path} already exists").format(path=path),
            _("Delete it, or specify another file."),
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        call_without_traceback(
            lambda: write_user_file(path, [text.reveal().encode()], overwrite=False, mode=0o600)
        )
    except OSError as error:
        raise SetupError(
            _("{path} can't be written: {error}").format(path=path, error=error.strerror),
            _("Choose another folder."),
        ) from None
