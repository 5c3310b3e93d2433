"""Asks Cloudflare what a token is and what it may do; nothing of that is billed."""

from collections.abc import Callable

from ..errors import AuthenticationError, PermissionDenied, WorkersAIError
from . import account
from .connection import Connection, OnRetry, json_content


class TokenChecker:
    """The questions about one token: `root` and `openai` are where Cloudflare and models answer.

    `search` asks for one entry of the list of models.
    """

    def __init__(
        self, connection: Connection, root: str, openai: str, search: Callable[[], object]
    ) -> None:
        self._connection = connection
        self._root = root
        self._openai = openai
        self._search = search

    def check(self, account_id: str, on_retry: OnRetry | None = None) -> account.TokenCheck:
        """Return its owner, its state, and what it may do; errors are those of WorkersAI."""
        paths = {"user": account.USER_PATH, "account": account.account_path(account_id)}
        owner = "user"
        try:
            reply, _ = self._connection.ask("GET", self._root + paths[owner], on_retry=on_retry)
        except AuthenticationError:
            owner = "account"
            reply, _ = self._connection.ask("GET", self._root + paths[owner], on_retry=on_retry)
        if account.state(reply) in account.ENDED:
            raise AuthenticationError(f"The token is {account.state(reply)}")
        return account.token_check(
            reply, owner, can_read=self._can_read(), can_run=self._can_run()
        )

    def _can_read(self) -> bool:
        try:
            self._search()
        except PermissionDenied:
            return False
        return True

    def _can_run(self) -> bool:
        """Whether models may be asked: one is asked that there is not, which costs nothing."""
        try:
            self._connection.ask(
                "POST", f"{self._openai}/chat/completions", **json_content(account.NO_QUESTION)
            )
        except (PermissionDenied, AuthenticationError):  # either was seen for a token without Edit
            return False
        except WorkersAIError:
            return True
        return True
