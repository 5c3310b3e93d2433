"""Helpers for programs in a pseudo-terminal."""

import signal

import pexpect


def end(child: pexpect.spawn) -> None:
    """End a program. `close(force=True)` fails if this takes more than 0.1 s."""
    if child.isalive():
        child.kill(signal.SIGKILL)
        child.wait()
    child.close()
