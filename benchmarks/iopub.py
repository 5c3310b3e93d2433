"""Measure how much a kernel sends for one streamed answer, compared with whole-text updates.

Usage: python benchmarks/iopub.py [--rate TOKENS_PER_SECOND] [TOKENS ...]

All bytes of all IOPub messages are counted, including headers and signatures.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.standin import Standin

BLOCKS = (
    "## Part {n}\n\n",
    (
        "Light from the sun holds every colour, and the air scatters the short waves more than "
        "the long ones, so that from every side some blue reaches the eye.\n\n"
    ),
    "- The *first* point, with `code` in it\n- The second point, which is a little longer\n\n",
    "```python\ndef area(radius):\n    return 3.14159 * radius ** 2\n```\n\n",
    "| colour | nm |\n|---|---|\n| blue | 450 |\n| red | 700 |\n\n",
)
CHARACTERS_PER_TOKEN = 5.3
WAYS = {
    "%%cfai": "%%cfai --max-tokens 100000\n{prompt}",
    "whole text, 10 a second": """
import time
from IPython.display import Markdown, display
from cfai_magics import stream
shown, text, last = display(Markdown(""), display_id=True), "", 0.0
for piece in stream({prompt!r}, max_tokens=100000):
    text += piece
    if time.monotonic() - last > 0.1:
        shown.update(Markdown(text))
        last = time.monotonic()
shown.update(Markdown(text))
""",
    "whole text, every token": """
from IPython.display import Markdown, display
from cfai_magics import stream
shown, text = display(Markdown(""), display_id=True), ""
for piece in stream({prompt!r}, max_tokens=100000):
    text += piece
    shown.update(Markdown(text))
""",
}


@dataclass(frozen=True)
class Sent:
    """The number of messages that one cell sent, and the total size of their frames in bytes."""

    messages: int
    bytes: int


def answer_of(tokens: int) -> str:
    """Return a Markdown answer with approximately this number of tokens."""
    text = ""
    while len(text) < tokens * CHARACTERS_PER_TOKEN:
        text += "".join(BLOCKS).replace("{n}", str(len(text)))
    return text[: int(tokens * CHARACTERS_PER_TOKEN)]


@contextmanager
def kernel(environ: dict[str, str]) -> Iterator[BlockingKernelClient]:
    """Start a kernel, load the extension and yield a client for the kernel."""
    manager = KernelManager()
    manager.start_kernel(env=environ)
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    run(client, "%load_ext cfai_magics")
    try:
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run(client: BlockingKernelClient, code: str) -> Sent:
    """Run a cell and count what arrives on IOPub until the kernel is idle again."""
    request = client.execute(code)
    messages = size = 0
    while True:
        frames = client.iopub_channel.socket.recv_multipart()
        messages, size = messages + 1, size + sum(map(len, frames))
        _, parts = client.session.feed_identities(frames)
        message = client.session.deserialize(parts)
        if message["msg_type"] == "error":
            sys.exit("\n".join(message["content"]["traceback"]))
        ours = message["parent_header"].get("msg_id") == request
        if ours and message["content"].get("execution_state") == "idle":
            return Sent(messages, size)


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tokens", nargs="*", type=int, default=[1000, 4000])
    parser.add_argument("--rate", type=float, default=250, help="tokens a second (default 250)")
    options = parser.parse_args()
    with Standin() as cloudflare, tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, **cloudflare.environ(), "CFAI_HOME": home}
        print(f"{'tokens':>7} {'way':<26} {'messages':>9} {'MB':>8} {'beside %%cfai':>14}")
        for tokens in options.tokens:
            cloudflare.switch(answer=answer_of(tokens), tokens_per_second=options.rate)
            with kernel(environ) as client:
                sent = {way: run(client, code.format(prompt="Go")) for way, code in WAYS.items()}
            ours = sent["%%cfai"].bytes
            for way, count in sent.items():
                ratio = count.bytes / ours
                print(
                    f"{tokens:>7} {way:<26} {count.messages:>9} {count.bytes / 1e6:>8.3f} "
                    f"{ratio:>13.1f}x"
                )


if __name__ == "__main__":
    main()
