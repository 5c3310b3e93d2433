"""Build and read config.json for simple-one-api, a self-hosted gateway for OpenAI clients."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import state_files
from ..errors import InvalidOptionError
from ..i18n import _
from ..secret import Secret

ADDRESS = "127.0.0.1:9090"  # ":9090" would expose the account to the network
MAX_CONFIG_BYTES = 10_000_000
WORKERS_AI_URL = re.compile(
    r"(?:https://api\.cloudflare\.com|http://(?:127\.0\.0\.1|localhost)(?::\d+)?)"
    r"/client/v4/accounts/([^/]+)/ai/v1(?:/chat/completions)?/?"
)


def build_config(
    server_url: str, token: str, key: str, models: Sequence[str], embedding_models: Sequence[str]
) -> str:
    """Return the text of a config.json file with one service for the account.

    Clients must send `key` as their API key. The field names are from simple-one-api's
    configuration reference.
    """
    service = {
        "models": list(models),
        "embedding_models": list(embedding_models),
        "enabled": True,
        "credentials": {"api_key": token},
        "server_url": f"{server_url}/chat/completions",
    }
    content = {
        "server_port": ADDRESS,
        "api_key": key,
        "load_balancing": "first",
        "services": {"openai": [service]},
    }
    return json.dumps(content, indent=2) + "\n"


def read_config(path: Path) -> Mapping[str, Any]:
    """Read a config.json file for simple-one-api.

    Raises:
        InvalidOptionError: The file cannot be read, or is not a simple-one-api configuration.
    """
    try:
        config = json.loads(state_files.read_text(path, MAX_CONFIG_BYTES))
    except state_files.UnreadableFileError as error:
        raise InvalidOptionError(
            _("{path} can't be read: {error}").format(path=path, error=error), _("Check the path.")
        ) from None
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict) or not isinstance(config.get("services"), dict):
        raise InvalidOptionError(
            _("{path} is not a simple-one-api config.json").format(path=path),
            _("Check the path: the file must contain services."),
        )
    return config


def find_credentials(config: Mapping[str, Any]) -> tuple[Secret, Secret] | None:
    """Return the account ID and token of the first Workers AI service, or None if none exists."""
    for service in _services(config):
        account = WORKERS_AI_URL.fullmatch(str(service.get("server_url") or ""))
        tokens = [
            credential["api_key"]
            for credential in _credentials(service)
            if credential.get("api_key")
        ]
        if account and tokens:
            return Secret(account[1]), Secret(str(tokens[0]))
    return None


def _services(config: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    services = config["services"].get("openai")
    return (
        [service for service in services if isinstance(service, dict)]
        if isinstance(services, list)
        else []
    )


def _credentials(service: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    credential_list = service.get("credential_list")
    candidates = [
        service.get("credentials"),
        *(credential_list if isinstance(credential_list, list) else []),
    ]
    return [credential for credential in candidates if isinstance(credential, dict)]
