"""Keep secrets out of tracebacks, pickles and reprs, including the repr of the environment."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

from .errors import CfaiError

Result = TypeVar("Result")


def call_without_traceback(function: Callable[..., Result], *args: Any) -> Result:
    """Call `function` and return its result. Exceptions are raised without their inner frames.

    A traceback keeps the local variables of its frames alive, and IPython's Verbose mode, pytest
    and error trackers show them. Call every function that stores a plain-text secret in a
    variable through this function.
    """
    try:
        return function(*args)
    except BaseException as error:  # noqa: BLE001 - re-raised below
        # Clear these first and without a function call. Otherwise, an interrupt in between would
        # keep this error as its context.
        raised_at = error.__traceback__
        error.__traceback__ = error.__context__ = error.__cause__ = None
        bare_error = error
    try:
        note_raise_location(bare_error, raised_at)
        raised_at = None
        raise bare_error from None
    finally:
        del bare_error


def note_raise_location(error: BaseException, traceback: TracebackType | None) -> None:
    """Add a note saying where an unexpected error was raised, because its traceback is removed."""
    if isinstance(error, Exception) and not isinstance(error, CfaiError) and traceback:
        while traceback.tb_next:
            traceback = traceback.tb_next
        code = traceback.tb_frame.f_code
        error.add_note(f"In {code.co_name}, {code.co_filename}:{traceback.tb_lineno}")


class Secret:
    """A secret string. Only `reveal` returns it; repr and str hide it, and pickling fails."""

    __slots__ = ("__reveal",)

    def __init__(self, value: str) -> None:
        self.__reveal = value.__str__  # a bound C method; its repr does not show the text

    @classmethod
    def from_reader(cls, read: Callable[[], str]) -> Self:
        """Return the result of `read` as a Secret, without exposing it in tracebacks."""
        return call_without_traceback(lambda: cls(read()))

    def reveal(self) -> str:
        """Return the plain text. Do not assign it to a variable; tracebacks may show variables."""
        return self.__reveal()

    @property
    def reader(self) -> Callable[[], str]:
        """A function that returns the plain text. Its repr does not show the text."""
        return self.__reveal

    def is_in(self, text: str) -> bool:
        """Return whether the text contains the secret."""
        return bool(self) and self.__reveal() in text

    def matches(self, pattern: re.Pattern[str]) -> bool:
        """Return whether the pattern matches the whole secret."""
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
        raise TypeError("a Secret cannot be pickled")


class Unpicklable:
    """Base class for objects that hold secrets or connections. Pickling them raises TypeError."""

    def __copy__(self) -> Self:
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} contains an API token or connections and cannot be pickled: "
            "create one in each process"
        )


class Environment(Unpicklable, Mapping[str, str]):
    """Read-only mapping of environment variables whose repr shows none of them."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        def read() -> Mapping[str, str]:
            return os.environ if variables is None else variables

        def find(name: str) -> str | None:
            return (os.environ if variables is None else variables).get(name)

        def compute_hash(names: tuple[str, ...]) -> int:
            source = os.environ if variables is None else variables
            return hash(tuple(map(source.get, names)))

        self.__all = read
        self.__find = find
        self.__hash = compute_hash

    def __getitem__(self, name: str) -> str:
        value = call_without_traceback(self.__find, name)
        if value is None:
            raise KeyError(name)
        return value

    def get_secret(self, name: str) -> Secret:
        """Return a variable's stripped value as a Secret, which is empty if it is missing."""
        return Secret.from_reader(lambda: self.__all().get(name, "").strip())

    def hash_variables(self, names: tuple[str, ...]) -> int:
        """Return a hash of the variables' values, which changes when any of them does."""
        return call_without_traceback(self.__hash, names)

    def __contains__(self, name: object) -> bool:
        return call_without_traceback(self.__find, str(name)) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self.__all()))

    def __len__(self) -> int:
        return len(self.__all())

    def __repr__(self) -> str:
        return "<environment>"


def get_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Return `variables` as an Environment. None stands for this process's environment."""
    return variables if isinstance(variables, Environment) else Environment(variables)
