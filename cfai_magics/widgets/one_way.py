"""A field whose text goes to the kernel once and is kept nowhere: for account id and API token."""

from collections.abc import Callable
from typing import Any

from ipywidgets import Text
from ipywidgets.widgets.widget_link import DirectionalLink
from traitlets import Unicode

from ..secret import Secret
from .told import close_all


class _Taker(Text):
    """What the page sends goes to `take` and never becomes state here, so no echo holds it."""

    def __init__(self, take: Callable[[Secret], None]) -> None:
        super().__init__(placeholder="")  # the one that the clearing copies
        self._take = take

    def set_state(self, sync_data: dict[str, Any]) -> None:
        entered = Secret.of(lambda: sync_data.pop("value", ""))
        super().set_state(sync_data)
        if entered:
            self._take(entered)


class _Clearing(DirectionalLink):
    """Copies its source into its target whenever it is poked: links do when they change."""

    poke = Unicode().tag(sync=True)


class OneWay:
    """Makes a text or password field one-way: the page itself empties it as soon as it is sent.

    Only the page can do that before anything is saved there, as the kernel may be busy; and core
    widgets bring only one thing that acts there: links. When the text is entered, the first link
    hands it to the taker, which sends it. The second pokes the clearing, which copies the taker's
    empty placeholder into the field; while that happens, the third takes the text out of the poke
    again. All that is one event of the page: nothing can be saved in between.
    """

    def __init__(self, field: Text, take: Callable[[Secret], None]) -> None:
        field.continuous_update = False
        taker = _Taker(take)
        clearing = _Clearing((taker, "placeholder"), (field, "value"))
        send, poke, unpoke = (
            DirectionalLink((field, "value"), target)
            for target in ((taker, "value"), (clearing, "poke"), (clearing, "poke"))
        )
        self._parts = (send, poke, unpoke, clearing, taker)

    def close(self) -> None:
        """Close the links and the taker."""
        for part in self._parts:
            close_all(part)
