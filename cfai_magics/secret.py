"""Keep secrets out of whatever prints: values, local variables of tracebacks, the environment."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import NoReturn, Self, TypeVar

from .errors import CfaiError

Result = TypeVar("Result")


def sealed(call: Callable[[], Result]) -> Result:
    """Return what `call` returns; what it raises leaves without the frames below this one.

    A traceback keeps the local variables of its frames alive, and IPython's Verbose mode, pytest
    and error trackers show them. So whatever has a plain secret in a variable runs in here.
    """
    try:
        return call()
    except BaseException as error:  # noqa: BLE001 - raised again below
        # First of all, and without a call: an interrupt would bring this error along.
        raised_at = error.__traceback__
        error.__traceback__ = error.__context__ = error.__cause__ = None
        bare = error
    try:
        note_place(bare, raised_at)
        raised_at = None
        raise bare from None
    finally:
        del bare


def note_place(error: BaseException, traceback: TracebackType | None) -> None:
    """Add to a bug, whose traceback is left out, where it was raised."""
    if isinstance(error, Exception) and not isinstance(error, CfaiError) and traceback:
        while traceback.tb_next:
            traceback = traceback.tb_next
        code = traceback.tb_frame.f_code
        error.add_note(f"In {code.co_name}, {code.co_filename}:{traceback.tb_lineno}")


class Secret:
    """A text that shows itself to nobody but the caller of reveal."""

    __slots__ = ("__reveal",)

    def __init__(self, value: str) -> None:
        self.__reveal = value.__str__  # a bound method of C: no repr of it shows the text

    @classmethod
    def of(cls, read: Callable[[], str]) -> Self:
        """Return the secret that `read` returns, which is in no local variable of a traceback."""
        return sealed(lambda: cls(read()))

    def reveal(self) -> str:
        """Return the text itself. Do not put it into a variable: a traceback might show that."""
        return self.__reveal()

    def is_in(self, text: str) -> bool:
        """Whether the text holds the secret."""
        return bool(self) and self.__reveal() in text

    def fits(self, pattern: re.Pattern[str]) -> bool:
        """Whether the pattern matches the whole secret."""
        return bool(pattern.fullmatch(self.__reveal()))

    def __bool__(self) -> bool:
        return bool(self.__reveal())

    def __repr__(self) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.__reveal()

    def __hash__(self) -> int:
        return hash(self.__reveal())

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


class Unpickled:
    """An object that holds a secret or connections: pickling it is refused."""

    def __copy__(self) -> Self:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        return made

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds an API token and cannot be pickled: "
            "make one in each process"
        )


class Environment(Unpickled, Mapping[str, str]):
    """The variables of the environment, or given ones; its repr shows none of them."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        def read() -> Mapping[str, str]:
            return os.environ if variables is None else variables

        self.__all = read

    def __getitem__(self, name: str) -> str:
        value = self._read(name)
        if value is None:
            raise KeyError(name)
        return value

    def _read(self, name: str) -> str | None:
        return sealed(lambda: self.__all().get(name))

    def secret(self, name: str) -> Secret:
        """Return a variable that is secret, without spaces around it; an empty one if missing."""
        return Secret.of(lambda: self.__all().get(name, "").strip())

    def digest(self, names: tuple[str, ...]) -> int:
        """Return what is another number as soon as one of these variables changes."""
        return sealed(lambda: hash(tuple(map(self.__all().get, names))))

    def __contains__(self, name: object) -> bool:
        return self._read(str(name)) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self.__all()))

    def __len__(self) -> int:
        return len(self.__all())

    def __repr__(self) -> str:
        return "<environment>"


def environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Return these variables, or without them those of this process, as an Environment."""
    return variables if isinstance(variables, Environment) else Environment(variables)
