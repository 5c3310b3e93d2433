"""The config.json of simple-one-api, a gateway of one's own for OpenAI clients: made and read."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import state_files
from ..errors import BadOption
from ..secret import Secret

ADDRESS = "127.0.0.1:9090"  # ":9090" would serve the account to everybody on the network
MOST_BYTES = 10_000_000
OF_CLOUDFLARE = re.compile(
    r"(?:https://api\.cloudflare\.com|http://(?:127\.0\.0\.1|localhost)(?::\d+)?)"
    r"/client/v4/accounts/([^/]+)/ai/v1(?:/chat/completions)?/?"
)


def config(
    server_url: str, token: str, key: str, models: Sequence[str], embedding_models: Sequence[str]
) -> str:
    """Return the text of a config.json: one service for the account, open to the key alone.

    It has the keys of simple-one-api's configuration reference.
    """
    service = {
        "models": list(models),
        "embedding_models": list(embedding_models),
        "enabled": True,
        "credentials": {"api_key": token},
        "server_url": f"{server_url}/chat/completions",
    }
    made = {
        "server_port": ADDRESS,
        "api_key": key,
        "load_balancing": "first",
        "services": {"openai": [service]},
    }
    return json.dumps(made, indent=2) + "\n"


def read(path: Path) -> Mapping[str, Any]:
    """Return what a config.json says; BadOption where it is none."""
    try:
        said = json.loads(state_files.read(path, MOST_BYTES))
    except state_files.Unreadable as why:
        raise BadOption(f"{path} can't be read: {why}", "Check the path.") from None
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("services"), dict):
        raise BadOption(f"{path} is no config.json of simple-one-api", "It has services in it.")
    return said


def credentials_in(said: Mapping[str, Any]) -> tuple[Secret, Secret] | None:
    """Return account id and token of the first service that leads to Workers AI, if one does."""
    for service in _services(said):
        account = OF_CLOUDFLARE.fullmatch(str(service.get("server_url") or ""))
        tokens = [one["api_key"] for one in _credentials(service) if one.get("api_key")]
        if account and tokens:
            return Secret(account[1]), Secret(str(tokens[0]))
    return None


def _services(said: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    listed = said["services"].get("openai")
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _credentials(service: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    pool = service.get("credential_list")
    found = [service.get("credentials"), *(pool if isinstance(pool, list) else [])]
    return [one for one in found if isinstance(one, dict)]
