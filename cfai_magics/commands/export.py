"""The command that writes simple-one-api's config.json for the account in use."""

import os
import secrets
from argparse import Namespace
from pathlib import Path

from ..asking.door import Door
from ..errors import BadOption, SetupError
from ..paths import user_path
from ..route.route import BASE_URL_VARIABLE
from ..route.simple_one_api import ADDRESS, config
from ..secret import Secret, sealed
from ..session import Session
from ..workers_ai import CLOUDFLARE

FILE_NAME = "simple-one-api.json"
TASKS = ("Text Generation", "Text Embeddings")


def export(door: Door, options: Namespace) -> str:
    """Write the file, for nobody else to read, and tell what it holds."""
    session = door.session
    path = user_path(options.path) if options.path else session.home / FILE_NAME
    if path.is_dir():
        path /= "config.json"
    if not options.anyway:
        _refuse_beside_notebooks(path)
    answering, embedding = (_models(session, task) for task in TASKS)
    _write(path, _config(session, answering, embedding))
    return (
        f"Written to {path.absolute()} for you alone to read (0600): it HOLDS YOUR API TOKEN, so "
        f"keep it out of notebooks' folders, repositories and backups. It lists {len(answering)} "
        f"models and {len(embedding)} for embeddings, and serves on {ADDRESS} to those who send "
        f"the api_key in it. Start it with: simple-one-api {path.absolute()}; ask it with: "
        f"%cfai login --server http://{ADDRESS}/v1"
    )


def _config(session: Session, answering: list[str], embedding: list[str]) -> Secret:
    found = session.route.store.find()
    root = session.route.environ.get(BASE_URL_VARIABLE) or CLOUDFLARE
    address = f"{root.rstrip('/')}/accounts/{found.account_id}/ai/v1"
    key = f"sk-{secrets.token_urlsafe(32)}"
    return Secret.of(lambda: config(address, found.api_token.reveal(), key, answering, embedding))


def _models(session: Session, task: str) -> list[str]:
    """Return the models of a task that the plan for all and the course allow."""
    return [
        model.name
        for model in session.catalogue().models
        if model.task == task and not model.paid_plan_only and _is_allowed(session, model.name)
    ]


def _is_allowed(session: Session, name: str) -> bool:
    try:
        session.settings.course.check_model(name)
    except SetupError:
        return False
    return True


def _refuse_beside_notebooks(path: Path) -> None:
    """Raise BadOption where a notebook's folder, or a repository, would hold the token."""
    folder = path.absolute().parent
    if any(folder.glob("*.ipynb")):
        where = "lies beside notebooks"
    elif any((place / ".git").exists() for place in (folder, *folder.parents)):
        where = "lies in a repository"
    else:
        return
    raise BadOption(
        f"{path} {where}, and the file holds your API token",
        "Leave the path out for a folder of your own, or add --anyway.",
    )


def _write(path: Path, text: Secret) -> None:
    if path.exists():
        raise BadOption(f"{path} is there already", "Delete it, or name another.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            sealed(lambda: file.write(text.reveal()))
    except OSError as error:
        raise SetupError(
            f"{path} can't be written: {error.strerror}", "Name another folder."
        ) from None
