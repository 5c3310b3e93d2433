"""The process that holds llama.cpp's own server, and ends with the one that started it.

It reads one line of JSON from its standard input, answers with one line, and then waits: when its
input ends, because the parent closed it or is no more, so does the process.
"""

import json
import os
import signal
import sys
from typing import Any

MEAN_POOLING = 1


def main() -> None:
    """Start the server as told, say where it listens, and wait for the end of the input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the cell, not for the model
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    told = json.loads(sys.stdin.buffer.readline())
    log = os.open(told["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(log, 1)  # llama.cpp writes to the file descriptors themselves
    os.dup2(log, 2)
    server = _start(told)
    answer.write(json.dumps({"address": server.listening_address}) + "\n")
    answer.flush()
    sys.stdin.buffer.read()
    os._exit(0)


def _start(told: dict[str, Any]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = told["model"]
    params.model_alias = {told["name"]}
    params.n_ctx = told["context"]
    for name, value in told["sampling"].items():
        setattr(params.sampling, name, value)
    params.port = told["port"]
    params.hostnames = ["127.0.0.1"]
    params.api_keys = [told["key"]]
    params.cors_origins = ""  # no web page of any origin may read an answer
    params.cors_origins_explicit = True
    params.cors_credentials = False
    params.ui = False
    params.offline = True
    params.embedding = True
    params.pooling_type = MEAN_POOLING
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
