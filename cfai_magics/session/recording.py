"""Record and replay the requests of the OpenAI SDK, or of any httpx client, in a `with` block."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from ..replay.record_mode import RecordMode
from ..workers_ai.retry import OnRetry
from .sdk_calls import BASE_URL, SdkCalls
from .session import Session

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

API_KEY = "recording"  # the session has the real token


class Recording:
    """A `with` block that records and replays the requests of clients; see `recording`.

    Attributes:
        base_url: The base URL for an SDK.
        api_key: The API key for an SDK. It is not a secret: the session adds the real token.
    """

    base_url = BASE_URL
    api_key = API_KEY

    def __init__(
        self, session: Session, record_mode: RecordMode, on_retry: OnRetry | None = None
    ) -> None:
        self._recorder = session.recorder
        self._record_mode = record_mode
        self._calls = SdkCalls(session, record_mode, on_retry)
        self._blocks: list[ExitStack] = []

    def __repr__(self) -> str:
        return f"Recording({str(self.path)!r}, mode={self.mode!r})"

    @property
    def mode(self) -> str:
        """The record mode: auto, only, refresh or off."""
        return self._record_mode.mode

    @property
    def path(self) -> "Path | None":
        """The path of the file, or None if the mode is off."""
        return self._record_mode.path

    def __enter__(self) -> Self:
        if self._record_mode.is_recording and self.path:
            self._recorder.cassette(self.path).check_writable()
        block = ExitStack()
        block.enter_context(self._recorder.mode_resolver.use_for_block(self._record_mode))
        self._recorder.begin_cell()
        self._blocks.append(block)
        self._calls.is_open = True
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._blocks.pop().close()
        if self._blocks:  # entered again inside the block
            return
        self._calls.close()
        if self.path:
            self._recorder.cassette(self.path).close()

    def client(self) -> "httpx.Client":
        """Return an httpx client whose requests to `base_url` are recorded and replayed.

        Pass it to `OpenAI(http_client=…)`, or use it directly:
        `client.post("chat/completions", json={…})`. Errors are HTTP responses.
        """
        from .sdk_transport import create_client

        return create_client(self._calls)

    def async_client(self) -> "httpx.AsyncClient":
        """Return the same as `client` for `AsyncOpenAI(http_client=…)`."""
        from .sdk_transport import create_async_client

        return create_async_client(self._calls)
