"""A loopback server that streams the frames and the usage of a test."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Body = Mapping[str, Any]
DONE = b"data: [DONE]\n\n"
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
Usage = Mapping[str, Any]


def text(content: str, usage: Usage | None = None) -> bytes:
    """Return the frame of one text delta, with the usage so far if it is reported."""
    frame: dict[str, Any] = {"choices": [{"index": 0, "delta": {"content": content}}]}
    return _event(frame if usage is None else {**frame, "usage": usage})


def end(usage: Usage | None = None) -> bytes:
    """Return the last frames of an answer, with its usage if it is reported."""
    usage_frame = b"" if usage is None else _event({"choices": [], "usage": usage})
    return STOP + usage_frame + DONE


def tokens(prompt: Any, completion: Any, neurons: Any = None) -> dict[str, Any]:
    """Return a usage object."""
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    return usage if neurons is None else {**usage, "neurons": neurons}


def _event(frame: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(frame).encode() + b"\n\n"


class FrameServer:
    """Server that answers each chat request with the frames of `answer(body)`."""

    def __init__(self, answer: Callable[[Body], Iterable[bytes]]) -> None:
        self.answer = answer
        self.bodies: list[Body] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                server.bodies.append(body)
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                with suppress(OSError):  # the client may leave before the end
                    for frame in server.answer(body):
                        self.wfile.write(frame)

            def log_message(self, *_: object) -> None:
                """Write no log."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
