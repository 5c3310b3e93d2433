"""Check the arguments of Python calls and the values of options: names, types and ranges."""

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial, wraps
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .errors import InvalidOptionError
from .i18n import _, ngettext

if TYPE_CHECKING:
    from argparse import Namespace

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")

MAX_TOKENS = 10_000_000  # ten times the largest context window in the catalog
MAX_SEED = 2**63 - 1
MAX_REQUEST_ANSWERS = 128  # for the field `n`: Cloudflare's schema for glm-5.3-flash
MAX_INTEGER = 2**53  # in fields of native tasks: larger ones have no exact float
MAX_SHOWN = 10**20  # larger integers are rounded in messages
MAX_TEMPERATURE = 5.0  # Cloudflare's schema for llama-3.2-3b-instruct, read 2026-11-27
MAX_CONCURRENCY = 100  # parallel calls in a map
MAX_ANSWERS = 60  # in one cell
MIN_PREFIX_LENGTH = 3  # a shorter prefix matches too many names


# --- calls


def check_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function raise InvalidOptionError for calls that do not match its signature.

    The error names the unknown, missing, duplicate or excess arguments, and suggests similar
    names. Values are checked for the arguments listed in VALUE_CHECKS. The decorated function
    keeps its signature and types.
    """
    parameters = _Parameters(function)

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        error = parameters.find_error(args, kwargs)
        # Tracebacks can show this frame's variables, and an argument may be an API token.
        call = [partial(function, *args, **kwargs)]
        del args, kwargs
        if error:
            del call
            raise error
        return call.pop()()

    return wrapper


def check_method_arguments(*names: str) -> Callable[[type[C]], type[C]]:
    """Return a class decorator that applies check_arguments to __init__ and the named methods."""

    def decorate(cls: type[C]) -> type[C]:
        for name in ("__init__", *names):
            attribute = vars(cls)[name]
            if isinstance(attribute, classmethod):
                setattr(cls, name, classmethod(check_arguments(attribute.__func__)))
            else:
                setattr(cls, name, check_arguments(attribute))
        return cls

    return decorate


def check_argument_names(cls: type[C]) -> type[C]:
    """Make the constructor of a class check its arguments as check_arguments does, except values.

    The class checks the values itself.
    """
    init = vars(cls)["__init__"]
    parameters = _Parameters(init)

    @wraps(init)
    def checked_init(self: C, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except TypeError as failure:
            raise parameters.find_misfit((self, *args), kwargs) or failure from None

    cls.__init__ = checked_init  # type: ignore[assignment]
    return cls


class _Parameters:
    """The parameters of a function, read from its code object.

    The `inspect` module is not used because it is slow to import.
    """

    def __init__(self, function: Any) -> None:
        code = function.__code__
        end = code.co_argcount + code.co_kwonlyargcount
        self._label = f"{function.__qualname__.removesuffix('.__init__')}()"
        self._positional = code.co_varnames[: code.co_argcount]
        self._keyword_only = code.co_varnames[code.co_argcount : end]
        self._names = tuple(
            name
            for name in (*self._positional, *self._keyword_only)
            if name not in {"self", "cls"}
        )
        defaults = function.__defaults__ or ()
        self._defaults = {
            **dict(
                zip(self._positional[code.co_argcount - len(defaults) :], defaults, strict=True)
            ),
            **(function.__kwdefaults__ or {}),
        }
        self._all = {*self._positional, *self._keyword_only}
        self._required = self._all.difference(self._defaults)

    def find_error(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> InvalidOptionError | None:
        """Return the error for a call with these arguments, or None if they are valid."""
        error = self.find_misfit(args, kwargs)
        if error:
            return error
        given = {**dict(zip(self._positional, args, strict=False)), **kwargs}
        try:
            for name, value in given.items():
                check = VALUE_CHECKS.get(name)
                if check is not None and value is not self._defaults.get(name, check):
                    check(value, name, f"{name}=")
        except InvalidOptionError as error:
            return error.with_traceback(None)
        return None

    def find_misfit(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> InvalidOptionError | None:
        """Return the error for arguments that do not match the parameters, or None.

        Most calls are valid, so the check for a valid call makes few function calls.
        """
        given = {**dict(zip(self._positional, args, strict=False)), **kwargs}
        is_fit = len(given) == len(args) + len(kwargs) and (
            self._required <= given.keys() <= self._all
        )
        return None if is_fit else self._describe_misfit(args, kwargs)

    def _describe_misfit(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> InvalidOptionError:
        """Return the error for a call whose arguments do not match the parameters."""
        by_position = self._positional[: len(args)]
        unknown = [name for name in kwargs if name not in self._names]
        if unknown:
            return self._unknown_error(unknown)
        if len(args) > len(self._positional):
            return self._too_many_error(len(args))
        twice = [name for name in kwargs if name in by_position]
        if twice:
            return InvalidOptionError(
                _("{function} received {argument} twice, by position and by name").format(
                    function=self._label, argument=twice[0]
                ),
                _("Pass it only once."),
            )
        missing = [
            name
            for name in self._names
            if name in self._required and name not in by_position and name not in kwargs
        ]
        return InvalidOptionError(
            ngettext(
                "{function} requires the argument {names}",
                "{function} requires the arguments {names}",
                len(missing),
            ).format(function=self._label, names=", ".join(missing)),
            self._format_names(),
        )

    def _unknown_error(self, unknown: list[str]) -> InvalidOptionError:
        suggestions = [
            suggestion for name in unknown for suggestion in find_closest(name, self._names)
        ]
        hint = format_suggestions(suggestions) or self._format_names()
        if "extra" in self._names:
            note = _("Use {argument} for other fields of the request.")
            hint = f"{hint} {note.format(argument='extra={…}')}"
        cause = ngettext(
            "{function} does not accept the argument {names}",
            "{function} does not accept the arguments {names}",
            len(unknown),
        )
        return InvalidOptionError(
            cause.format(function=self._label, names=", ".join(unknown)), hint
        )

    def _too_many_error(self, count: int) -> InvalidOptionError:
        allowed = [name for name in self._positional if name in self._names]
        count -= len(self._positional) - len(allowed)
        example = next(iter(self._keyword_only), None)
        hint = self._format_names()
        if example:
            hint = _("Pass the others by name; for example, {example}.").format(
                example=f"{example}=…"
            )
        cause = ngettext(
            "{function} takes {allowed} positional argument, not {count}",
            "{function} takes {allowed} positional arguments, not {count}",
            len(allowed),
        )
        return InvalidOptionError(
            cause.format(function=self._label, allowed=len(allowed), count=count), hint
        )

    def _format_names(self) -> str:
        if not self._names:
            return _("It takes no arguments.")
        return _("Its arguments: {names}.").format(names=", ".join(self._names))


def find_closest(name: str, known_names: Collection[str]) -> list[str]:
    """Return the known names that a misspelled or shortened name may refer to."""
    from difflib import get_close_matches

    prefix = name.lower()
    if len(prefix) >= MIN_PREFIX_LENGTH:
        by_prefix = [known for known in known_names if known.startswith(prefix)]
        if by_prefix:
            return by_prefix
    return get_close_matches(prefix, known_names, n=1)


def format_suggestions(names: Iterable[str]) -> str:
    """Return the question "Did you mean …?" with the names, or "" if there are none."""
    *others, last = [*dict.fromkeys(names)] or [""]
    alternatives = _(" or ").join(filter(None, (", ".join(others), last)))
    return _("Did you mean {names}?").format(names=alternatives) if alternatives else ""


# --- values


def check_value(name: str, value: Any, label: str = "") -> Any:
    """Check the value of an argument or option and return it, with numbers as int or float.

    If `name` is not in VALUE_CHECKS, the value is returned unchanged.

    Args:
        name: The argument's name, or the option's `dest`.
        value: The value to check.
        label: Text shown before the value in the error message, such as "temperature=" for an
            argument or "--temperature " for an option.

    Raises:
        InvalidOptionError: The value has the wrong type or is out of range.
    """
    check = VALUE_CHECKS.get(name)
    return value if check is None else check(value, name, label or f"{name}=")


ValueCheck = Callable[[Any, str, str], Any]  # value, name, label


def _check_str(value: Any, name: str, _label: str) -> str:
    return require_str(value, name)


def _check_bool(value: Any, name: str, _label: str) -> bool:
    if not isinstance(value, bool):
        raise _type_error(value, name, _("True or False"))
    return value


def _check_callable(value: Any, name: str, _label: str) -> Any:
    if not callable(value):
        raise _type_error(value, name, _("a function"))
    return value


def _check_path(value: Any, name: str, _label: str) -> Path:
    if not isinstance(value, Path):
        raise _type_error(value, name, _("a pathlib.Path"))
    return value


def _check_datetime(value: Any, name: str, _label: str) -> datetime:
    if not isinstance(value, datetime):
        raise _type_error(value, name, _("a datetime.datetime"))
    return value


def _check_mapping(value: Any, name: str, _label: str) -> Any:
    if not isinstance(value, Mapping):
        raise _type_error(value, name, _("a dict"))
    return value


def _check_extra(value: Any, name: str, label: str) -> Any:
    return {} if value is None else _check_mapping(value, name, label)


def _check_int(value: Any, name: str, _label: str) -> int:
    if type(value) is int:
        return value
    try:
        if not isinstance(value, bool):
            return index(value)  # also accepts numpy integers
    except TypeError:
        pass
    raise _type_error(value, name, _("an integer"))


def _check_number(value: Any, name: str, _label: str) -> float:
    """Return an int or float unchanged, and any other number, such as numpy's, as a float."""
    if type(value) is float or type(value) is int:
        return value
    if not isinstance(value, bool) and (
        hasattr(value, "__float__") or hasattr(value, "__index__")
    ):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise _type_error(value, name, _("a number"))


def _check_tokens(value: Any, name: str, label: str) -> int:
    number = _check_int(value, name, label)
    if number < 1:
        raise InvalidOptionError(
            _("{option}{value} is too small").format(option=label, value=_shorten_number(number)),
            _("Use 1 or more."),
        )
    if number > MAX_TOKENS:
        raise _too_large_error(number, label, MAX_TOKENS)
    return number


def _too_large_error(number: float, label: str, maximum: int) -> InvalidOptionError:
    return InvalidOptionError(
        _("{option}{value} is too large").format(option=label, value=_shorten_number(number)),
        _("Use at most {maximum:,}.").format(maximum=maximum),
    )


def _shorten_number(number: float) -> str:
    """Return the number as text; Python does not convert integers of more than 4,300 digits."""
    if isinstance(number, int) and abs(number) > MAX_SHOWN:
        return f"{'-' if number < 0 else ''}10^{int(math.log10(abs(number)))}"
    return str(number)


def _check_limit(value: Any, name: str, label: str) -> float:
    number = _check_number(value, name, label)
    if not number > 0:
        raise InvalidOptionError(
            _("{option}{value} is not a positive number").format(
                option=label, value=_shorten_number(number)
            ),
            _("Use a number above 0."),
        )
    if isinstance(number, int) and number > MAX_INTEGER:
        raise _too_large_error(number, label, MAX_INTEGER)
    return number


def _in_range(check: ValueCheck, low: float, high: float) -> ValueCheck:
    def check_range(value: Any, name: str, label: str) -> Any:
        number = check(value, name, label)
        if not low <= number <= high:
            raise InvalidOptionError(
                _("{option}{value} is out of range").format(
                    option=label, value=_shorten_number(number)
                ),
                _("Use {low:g} to {high:g}.").format(low=low, high=high),
            )
        return number

    return check_range


def _or_none(check: ValueCheck) -> ValueCheck:
    def check_unless_none(value: Any, name: str, label: str) -> Any:
        return None if value is None else check(value, name, label)

    return check_unless_none


# The checks for all entry points, by argument name. Options use the same names.
VALUE_CHECKS: Mapping[str, ValueCheck] = {
    "model": _check_str,
    "system": _check_str,
    "thread": _check_str,
    "max_tokens": _or_none(_check_tokens),
    "temperature": _or_none(_in_range(_check_number, 0, MAX_TEMPERATURE)),
    "top_p": _or_none(_in_range(_check_number, 0, 1)),
    "seed": _or_none(_in_range(_check_int, -MAX_SEED, MAX_SEED)),
    "think": _check_bool,
    "stream": _check_bool,
    "extra": _check_extra,
    "max_neurons": _or_none(_check_limit),
    "concurrency": _in_range(_check_int, 1, MAX_CONCURRENCY),
    "confirm": _check_bool,
    "queue": _check_bool,
    "fresh": _check_bool,
    "content_type": _or_none(_check_str),
    "on_retry": _or_none(_check_callable),
    # arguments of sessions and clients
    "name": _check_str,
    "callback": _check_callable,
    "on_idle": _check_callable,
    "report_retry": _check_callable,
    "home": _check_path,
    "environ": _or_none(_check_mapping),
    "clock": _check_callable,
    "wall_clock": _check_callable,
    "sleep": _check_callable,
    "timeout": _check_limit,
    "day": _check_datetime,
    "use_proxies": _check_bool,
    "endpoint": _check_str,
    "batch_id": _check_str,
}


# The checks for fields of a request that are sent as given, by field name.
FIELD_CHECKS: Mapping[str, ValueCheck] = {
    **{name: VALUE_CHECKS[name] for name in ("max_tokens", "temperature", "top_p", "seed")},
    "max_completion_tokens": VALUE_CHECKS["max_tokens"],
    "think": _check_bool,
    "n": _in_range(_check_int, 1, MAX_REQUEST_ANSWERS),
}


def check_fields(fields: Mapping[str, Any], name: str) -> None:
    """Check the fields of a request that are sent as given.

    Args:
        fields: The fields; None means that a field is not set.
        name: What the fields are, for error messages.

    Raises:
        InvalidOptionError: A number is out of range, or a value is not JSON.
    """
    for field_name, value in fields.items():
        check = FIELD_CHECKS.get(field_name)
        if value is None:
            continue
        if check:
            check(value, field_name, f"{field_name}=")
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise _too_large_error(value, f"{field_name}=", MAX_INTEGER)

    def reject(value: Any) -> None:
        raise InvalidOptionError(
            _("{name} contains a value of type {type}, which is not JSON").format(
                name=name, type=type(value).__name__
            ),
            _("Convert it first; for example, an array with its method tolist()."),
        )

    try:
        json.dumps(dict(fields), allow_nan=False, default=reject)
    except TypeError:
        raise InvalidOptionError(
            _("{name} has a key that is not a string").format(name=name),
            _("Convert it with str()."),
        ) from None
    except RecursionError:
        raise InvalidOptionError(
            _("{name} is nested too deeply").format(name=name), _("Use a flat structure.")
        ) from None
    except ValueError:
        raise InvalidOptionError(_("NaN and infinity can't be sent")) from None


def _type_error(value: Any, name: str, expected: str) -> InvalidOptionError:
    return InvalidOptionError(
        _("{name} is of type {type}, not {expected}").format(
            name=name, type=type(value).__name__, expected=expected
        ),
        _("Pass {expected}.").format(expected=expected),
    )


# --- strings


def require_str(value: Any, argument_name: str) -> str:
    """Return the value as a plain str. Raises InvalidOptionError if it is not a str."""
    if not isinstance(value, str):
        raise InvalidOptionError(
            _("{name} is of type {type}, not a string").format(
                name=argument_name, type=type(value).__name__
            ),
            _("Pass a str."),
        )
    return str.__str__(value)


def collect_texts(value: Any, argument_name: str) -> tuple[str, ...]:
    """Return the strings in an iterable as a tuple. A single str becomes a one-item tuple.

    Raises:
        InvalidOptionError: The value is not a str or an iterable of str. The message names the
            first item that is not a str.
    """
    if isinstance(value, str):
        return (str.__str__(value),)
    return tuple(
        _require_str_item(item, index, argument_name)
        for index, item in enumerate(_iter_items(value, argument_name))
    )


def collect_filled_texts(value: Any, argument_name: str) -> tuple[str, ...]:
    """Return the strings as collect_texts does.

    Raises:
        InvalidOptionError: As in collect_texts, or a string is blank.
    """
    texts = collect_texts(value, argument_name)
    for position, text in enumerate(texts):
        if not text.strip():
            raise InvalidOptionError(
                _("{name} is blank").format(name=f"{argument_name}[{position}]"),
                _("Remove the item."),
            )
    return texts


def _iter_items(value: Any, argument_name: str) -> Iterator[Any]:
    # Iteration would yield the column names of a data frame, the keys of a mapping, and integers
    # for bytes.
    if not (isinstance(value, bytes | bytearray | memoryview | Mapping) or _is_table(value)):
        try:
            return iter(value)
        except TypeError:
            pass
    raise InvalidOptionError(
        _("{name} is of type {type}, not a string or a list of strings").format(
            name=argument_name, type=type(value).__name__
        ),
        _("Pass a string or a list of strings."),
    )


def _is_table(value: Any) -> bool:
    return hasattr(value, "columns")


def _require_str_item(item: Any, index: int, argument_name: str) -> str:
    if not isinstance(item, str):
        raise InvalidOptionError(
            _("{name} is of type {type}, not a string").format(
                name=f"{argument_name}[{index}]", type=type(item).__name__
            ),
            _("Convert it with str(), or remove it."),
        )
    return str.__str__(item)


def check_option_values(options: "Namespace") -> None:
    """Check the numbers in the options of a question.

    Raises:
        InvalidOptionError: A number is out of range.
    """
    if options.times < 1:
        raise InvalidOptionError(
            _("-n must be at least 1, not {value}").format(value=options.times),
            _("Omit it for a single answer."),
        )
    for name in ("max_neurons", "max_tokens", "top_p"):
        value = getattr(options, name)
        if value is not None:
            check_value(name, value, f"--{name.replace('_', '-')} ")
    for temperature in options.temperature:
        check_value("temperature", temperature, "--temperature ")


def check_answer_count(options: "Namespace") -> None:
    """Raise InvalidOptionError if the options request too many answers."""
    count = max(1, len(options.model or ())) * max(1, len(options.temperature)) * options.times
    if count > MAX_ANSWERS:
        raise InvalidOptionError(
            _("{count:,} answers are too many for one cell").format(count=count),
            _("The maximum is {count}.").format(count=MAX_ANSWERS),
        )
