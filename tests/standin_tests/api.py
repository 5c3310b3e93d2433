"""HTTP client for the tests of the stand-in."""

import json
from typing import TYPE_CHECKING, Any

from tests.standin import Standin

if TYPE_CHECKING:
    import httpx

GEMMA = "@cf/google/gemma-4-26b-a4b-it"
LLAMA = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
GLM = "@cf/zai-org/glm-5.2"
HELLO = ({"role": "user", "content": "Why is the sky blue?"},)
DONE = "[DONE]"


class Api:
    """A client of one account; paths are relative to the account."""

    def __init__(self, cloudflare: Standin, token: str = "") -> None:
        import httpx

        self.http = httpx.Client(
            base_url=f"{cloudflare.base_url}/accounts/{cloudflare.account_id}",
            headers={"authorization": f"Bearer {token or cloudflare.token}"},
            timeout=60,
        )

    def post(self, path: str, body: Any) -> "httpx.Response":
        return self.http.post(path, json=body)

    def get(self, path: str, **query: str | int) -> "httpx.Response":
        return self.http.get(path, params=query)

    def chat(self, model: str = GEMMA, **body: Any) -> "httpx.Response":
        return self.post("/ai/v1/chat/completions", {"model": model, "messages": HELLO, **body})

    def run(self, model: str, /, **body: Any) -> "httpx.Response":
        return self.post(f"/ai/run/{model}", body)

    def stream(self, model: str = GEMMA, **body: Any) -> list[Any]:
        return events(self.chat(model, stream=True, **body).text)


def events(text: str) -> list[Any]:
    """Return the JSON of all `data:` lines, or "[DONE]" unchanged."""
    lines = [
        line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")
    ]
    return [DONE if one == DONE else json.loads(one) for one in lines]


def text_of(chunks: list[Any]) -> str:
    """Return the text of OpenAI chunks."""
    choices = [choice for one in chunks if one != DONE for choice in one.get("choices") or ()]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def code_of(response: "httpx.Response") -> tuple[int, int]:
    """Return the HTTP status and Cloudflare's first code."""
    return response.status_code, response.json()["errors"][0]["code"]
