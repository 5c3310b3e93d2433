"""Sessions that record to a cassette, or replay it without account and network."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from cfai_magics.types.messages import Answer, Message
from tests.standin import Standin

HI: list[Message] = [{"role": "user", "content": "Why is the sky blue?"}]
OCTOBER_12 = 1_791_806_400.0  # 2026-10-12T12:00:00Z
REPLAYED_FIELDS = (
    "text",
    "reasoning",
    "tool_calls",
    "finish_reason",
    "model",
    "tokens",
    "is_local",
)


@contextmanager
def recording(
    cloudflare: Standin, path: Path, mode: str = "auto", **environ: str
) -> Iterator[Session]:
    """Open a session with the account that records on 12 October 2026."""
    variables = {**cloudflare.environ(), "CFAI_REPLAY": f"{mode}:{path}", **environ}
    session = Session(
        Cfai(), path.parent / "home", environ=variables, wall_clock=lambda: OCTOBER_12
    )
    try:
        yield session
    finally:
        session.close()


@contextmanager
def replaying(path: Path, mode: str = "only", home: str = "elsewhere") -> Iterator[Session]:
    """Open a session without credentials, as on another machine and day."""
    environ = {"CFAI_REPLAY": f"{mode}:{path}", "CFAI_REPLAY_INSTANT": "1"}
    session = Session(Cfai(), path.parent / home, environ=environ)
    try:
        yield session
    finally:
        session.close()


def ask(session: Session, text: str = "", **fields: Any) -> Answer:
    """Send a prompt from a new cell."""
    session.recorder.begin_cell()
    messages = [{"role": "user", "content": text}] if text else HI
    return session.ask(session.build_request(messages, **fields))


def lines(path: Path) -> list[bytes]:
    """Return the lines of a cassette."""
    return path.read_bytes().splitlines(keepends=True)


def replayed_fields(answer: Answer) -> dict[str, Any]:
    """Return the fields of an answer that a replay must reproduce."""
    return {name: getattr(answer, name) for name in REPLAYED_FIELDS}
