"""Run llama.cpp's server in a child process that exits when its parent exits.

The process reads its configuration as a line of JSON from standard input. It then writes a line of
JSON with the server's address to standard output. It exits when standard input is closed, either
by the parent or because the parent has exited.
"""

import json
import os
import signal
import sys
from typing import Any

MEAN_POOLING = 1


def main() -> None:
    """Start the configured server, print its address, and wait until standard input is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C interrupts the cell, not the model
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    config = json.loads(sys.stdin.buffer.readline())
    log = os.open(config["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(log, 1)  # llama.cpp writes directly to the file descriptors
    os.dup2(log, 2)
    server = _start_server(config)
    output.write(json.dumps({"address": server.listening_address}) + "\n")
    output.flush()
    sys.stdin.buffer.read()
    os._exit(0)


def _start_server(config: dict[str, Any]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = config["model"]
    params.model_alias = {config["name"]}
    params.n_ctx = config["context"]
    for name, value in config["sampling"].items():
        setattr(params.sampling, name, value)
    params.port = config["port"]
    params.hostnames = ["127.0.0.1"]
    params.api_keys = [config["key"]]
    params.cors_origins = ""  # prevents web pages from reading answers
    params.cors_origins_explicit = True
    params.cors_credentials = False
    params.ui = False
    params.offline = True
    params.embedding = True
    params.pooling_type = MEAN_POOLING
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
