"""The comm between a kernel and JupyterLab: versioned JSON, with no prompt and no token in it."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .. import forks
from ..errors import CfaiError

if TYPE_CHECKING:
    from comm.base_comm import BaseComm

    from ..session import Session
    from ..session.watchers import Unwatch

# The name is the id too: a page that is loaded anew knows the comm by its next message, and need
# not ask a busy kernel for it.
TARGET = "cfai-magics"
VERSION = 1
_log = logging.getLogger(__name__)


class Bridge(forks.InChild):
    """One comm for all pages that show this kernel: each is told the same.

    What is asked bears an id, and so does its answer; the state is told whenever it changes.
    The session is begun with the first page that says hello: opening stays light.
    """

    def __init__(self, session: "Callable[[], Session]") -> None:
        self._session = session
        self._lock = threading.RLock()  # sessions change on several threads
        self._comm: BaseComm | None = None
        self._unwatch: Unwatch | None = None
        self._told: Mapping[str, Any] = {}
        forks.register(self)

    def in_child(self) -> None:
        """Leave the comm to the parent."""
        self._lock = threading.RLock()
        self._comm = self._unwatch = None

    def open(self) -> None:
        """Open the comm; where there is no kernel, comm sends nothing anywhere."""
        from comm import create_comm  # a kernel has imported it, a terminal needs none

        self._comm = create_comm(
            target_name=TARGET, comm_id=TARGET, data={"version": VERSION, "type": "hello"}
        )
        self._comm.on_msg(self._received)
        self._comm.on_close(lambda _message: self._closed())

    def close(self) -> None:
        """Close the comm and watch no more; a second time does nothing."""
        comm = self._comm
        self._closed()
        if comm is not None:
            comm.close()

    def _closed(self) -> None:
        with self._lock:
            self._comm = None
            if self._unwatch is not None:
                self._unwatch()
                self._unwatch = None

    def _received(self, message: Mapping[str, Any]) -> None:
        data = message["content"]["data"]
        if data.get("version") != VERSION:  # a page of another version, which says so itself
            return
        if data.get("type") == "hello":
            self._greet()
        else:
            self._send({**self._answer(data), "id": data.get("id")})

    def _greet(self) -> None:
        with self._lock:
            if self._unwatch is None:
                self._unwatch = self._session().watch(self._tell)
            self._told = {}  # it is a new page that asks: tell it also what has not changed
            self._tell()

    def _tell(self) -> None:
        """Tell the state, should it have changed."""
        from .replies import state

        with self._lock:
            now = state(self._session())
            if now != self._told:
                self._told = now
                self._send({"type": "state", **now})

    def _answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        from .replies import REPLIES

        reply = REPLIES.get(str(asked.get("type")))
        try:
            if reply is None:
                return {"type": "refused", "why": "Nobody here knows that message."}
            return {"type": asked["type"], **reply(self._session(), asked)}
        except CfaiError as error:
            return {"type": "refused", "why": str(error)}
        except (KeyError, TypeError, ValueError):
            _log.debug("A message from JupyterLab is not as it has to be", exc_info=True)
            return {"type": "refused", "why": "That message is not as it has to be."}

    def _send(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            if self._comm is not None:
                self._comm.send({"version": VERSION, **message})
