"""Make the calls of an SDK through a session, and record or replay them in one file."""

import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from .. import forks
from ..arguments import collect_filled_texts
from ..backends.selector import API_URL_VARIABLE
from ..errors import CfaiError, InvalidOptionError, MissingCredentialsError, NotRecordedError
from ..i18n import _
from ..replay.record_mode import RecordMode
from ..types.messages import Request
from ..types.provenance import Provenance
from ..workers_ai.endpoints import RUN_PATH
from ..workers_ai.retry import OnRetry
from .call import CallOrigin, ClientGroup, Target
from .session import Session
from .stream import AnswerStream

if TYPE_CHECKING:
    import httpx

    from ..types.results import Embeddings
    from ..workers_ai.client import WorkersAI

# The transport answers this address. Other clients can't reach it, because "invalid" is reserved
# (RFC 6761).
BASE_URL = "https://cfai.invalid/v1"
ACCOUNT_PATH = re.compile(r"/accounts/([^/]+)(/.*)")


def _normalize_url(url: str) -> str:
    """Return an address as httpx writes it, such as with the host in lowercase."""
    import httpx

    try:
        return str(httpx.URL(url)).rstrip("/")
    except httpx.InvalidURL:  # the session reports it
        return url.rstrip("/")


class _LiveClients(ClientGroup):
    """The live clients of a recording. Playback clients need no closing and may be many."""

    def add(self, client: "WorkersAI") -> None:
        """Add a client, unless it plays back one answer."""
        from ..replay.playback import PlaybackClient

        if not isinstance(client, PlaybackClient):
            super().add(client)


class SdkCalls(forks.ChildForkHook):
    """The calls of the clients of one recording.

    Attributes:
        record_mode: The record mode and the file of all calls.
        is_open: Whether calls are allowed.
    """

    def __init__(
        self, session: Session, record_mode: RecordMode, on_retry: OnRetry | None = None
    ) -> None:
        self.record_mode = record_mode
        self.is_open = False
        self._session = session
        self._on_retry = on_retry
        self._lock = threading.Lock()
        self._clients = _LiveClients(session.backend)
        self._clients_key: object = None
        self._open_streams: WeakSet[AnswerStream] = WeakSet()
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Replace the lock, because a thread in the parent may have held it."""
        self._lock = threading.Lock()

    def close(self) -> None:
        """Interrupt the open streams and close the connections."""
        self.is_open = False
        with self._lock:
            open_streams, clients = list(self._open_streams), self._clients
            self._clients, self._clients_key = _LiveClients(self._session.backend), None
        for answer_stream in open_streams:
            answer_stream.close()
        clients.close()

    @property
    def timeout(self) -> float:
        """The timeout of the session in seconds."""
        return self._session.settings.timeout

    def check_open(self) -> None:
        """Raise InvalidOptionError outside the `with` block."""
        if not self.is_open:
            raise InvalidOptionError(
                _("The recording is not open"),
                _("Nothing was sent. Send requests inside the with block of {function}.").format(
                    function="recording()"
                ),
            )

    def check_forwarding(self) -> None:
        """Raise PrivacyError if requests to other addresses are not allowed."""
        if self._session.backend.is_private:
            raise self._session.backend.privacy_error()

    def find_path(self, url: "httpx.URL") -> str | None:
        """Return the path below the account, or None for an address that is not recorded.

        Raises:
            InvalidOptionError: The address is of Cloudflare, but the session uses another server,
                or it has another account than the session.
        """
        from ..workers_ai.client import CLOUDFLARE_API_URL

        text = str(url.copy_with(query=None, fragment=None))
        server, class_server = self._session.backend.server, self._session.backend.class_server
        paths = {BASE_URL: "/ai/v1"}
        if server is not None:
            paths[_normalize_url(server.base_url)] = "/ai/v1"
        if class_server is not None:
            paths[_normalize_url(class_server.openai_url)] = "/ai/v1"
            paths[_normalize_url(f"{class_server.url}/run")] = RUN_PATH.rstrip("/")
        for base_url, path in paths.items():
            if text.startswith(f"{base_url}/"):
                return path + text.removeprefix(base_url)
        api_url = self._session.backend.environ.get(API_URL_VARIABLE) or CLOUDFLARE_API_URL
        match = ACCOUNT_PATH.fullmatch(text.removeprefix(_normalize_url(api_url)))
        if match is None:
            return None
        selected = server or class_server
        if selected is not None:
            raise InvalidOptionError(
                _("The address is of Cloudflare, but {source} selects another server").format(
                    source=selected.source
                ),
                _("Nothing was sent. Use {base_url}, or remove {source}.").format(
                    base_url="recording.base_url", source=selected.source
                ),
            )
        self._check_account(match[1])
        return match[2]

    def _check_account(self, account_id: str) -> None:
        try:
            own_account_id = self._session.backend.credentials().account_id
        except MissingCredentialsError:  # only recorded answers are possible
            return
        if account_id != own_account_id:
            raise InvalidOptionError(
                _("The address has another account than the one that is logged in"),
                _("Nothing was sent. Use {base_url}, or run %cfai login.").format(
                    base_url="recording.base_url"
                ),
            )

    def open_stream(
        self,
        build_request: Callable[[Target], Request],
        model: str,
        timeout: Mapping[str, float | None],
    ) -> AnswerStream:
        """Return the stream of the answer to a chat request; iterating it sends the request.

        `timeout` has the client's timeouts in seconds, as in httpx.
        """
        target = self._session.resolve_target(model)
        request = build_request(target)
        answer_stream = self._session.open_stream(
            request, target, self._on_retry, origin=self._origin(timeout)
        )
        with self._lock:
            self._open_streams.add(answer_stream)
        return answer_stream

    def embed(self, texts: Any, model: str, timeout: Mapping[str, float | None]) -> "Embeddings":
        """Return one vector per text; `timeout` is as in `open_stream`."""
        return self._session.embed_texts(
            collect_filled_texts(texts, "input"),
            model,
            self._on_retry,
            origin=self._origin(timeout),
        )

    def _origin(self, timeout: Mapping[str, float | None]) -> CallOrigin:
        """Return the origin of the next call, with clients for the current backend.

        The client's read timeout applies if it is shorter than that of the settings.
        """
        backend = self._session.backend
        with self._lock:
            key = backend.server, backend.class_server, backend.local_server, backend.is_private
            if key != self._clients_key:
                self._clients.close()
                self._clients, self._clients_key = _LiveClients(backend), key
            clients = self._clients
        seconds = timeout.get("read")
        if seconds is None or seconds >= self.timeout:
            return CallOrigin(clients, self.record_mode)
        from ..workers_ai.http import CONNECT_TIMEOUT

        timeouts = {"connect": CONNECT_TIMEOUT, "write": self.timeout, "pool": self.timeout}
        return CallOrigin(
            clients, self.record_mode, extensions={"timeout": {**timeouts, "read": seconds}}
        )

    def created(self, provenance: Provenance) -> int:
        """Return the time of an answer in seconds since 1970; for a replay, of the recording."""
        text = provenance.recording.date if provenance.recording else provenance.asked_at
        try:
            return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
        except ValueError:
            return 0

    def with_hint(self, error: CfaiError) -> CfaiError:
        """Return the error with the next step for a `with` block."""
        if isinstance(error, NotRecordedError):
            next_step = _(
                "Nothing was sent. {example} makes such requests and records their answers."
            ).format(example='recording(path, mode="auto")')
            error.hint = error.hint.replace(_(NotRecordedError.default_hint), next_step)
        return error
