"""Send the teacher's requests to a class server, with the admin key."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import quote, urlsplit

from ..arguments import find_closest, format_suggestions
from ..backends.addresses import is_loopback
from ..backends.class_server import normalize_class_url
from ..errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    CfaiError,
    InvalidOptionError,
    ResponseFormatError,
    WorkersAIError,
)
from ..i18n import _
from ..secret import Secret
from .folder import ADMIN_KEY_FILE, ClassFolder, ClassSettings, parse_settings
from .roster import NewStudent

TIMEOUT = 30.0  # s
AUTHENTICATION_CODE = 10000
NOT_FOUND_CODE = 7000  # a student or an address
NOT_FOUND_STATUS, CONFLICT_STATUS = 404, 409
Parsed = TypeVar("Parsed")


class StudentStatus(NamedTuple):
    """A student with today's neurons. `budget` is None for the share of the class."""

    name: str
    budget: float | None
    is_paused: bool
    is_revoked: bool
    expires: str
    spent: float
    reserved: float


class UsageRow(NamedTuple):
    """The calls and neurons of a student with a model on a UTC day.

    `estimated` is the part of `neurons` that the server estimated.
    """

    day: str
    student: str
    model: str
    calls: int
    neurons: float
    estimated: float


def check_class_url(text: str) -> str:
    """Return the address of a class server, without /v1.

    Raises:
        InvalidOptionError: It is not a server address, or is for plain HTTP to another computer.
    """
    url = normalize_class_url(text)
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise InvalidOptionError(
            _("{url} is not encrypted, so others could read the admin key").format(url=url),
            _("Use the address with https:// that wrangler printed. Nothing was sent."),
        )
    return url


class ClassAdmin:
    """The admin routes of a class server; a context manager.

    Each method sends one request and raises a CfaiError if the server refuses it.
    """

    def __init__(self, url: str, admin_key: Secret) -> None:
        import httpx

        from ..workers_ai.http import HTTPConnection, PerProcessTransport

        self.url = check_class_url(url)
        host = urlsplit(self.url).hostname or ""
        # Requests to this computer must not go through a proxy.
        transport = PerProcessTransport(httpx.HTTPTransport) if is_loopback(host) else None
        self._connection = HTTPConnection(admin_key, TIMEOUT, transport)
        self._open_connection = HTTPConnection(Secret(""), TIMEOUT, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()
        self._open_connection.close()

    def check_address(self) -> None:
        """Check that the address is that of a class server, before it gets the admin key."""
        from ..workers_ai.http import read_body

        try:
            read_body(self._open_connection.send("GET", f"{self.url}/me"))
        except AuthenticationError as error:
            if error.code == AUTHENTICATION_CODE:
                return
            raise self._not_a_class_server() from None
        except (APIConnectionError, APITimeoutError) as error:
            raise self._with_hint(error) from None
        except WorkersAIError:
            pass
        raise self._not_a_class_server()

    def settings(self) -> ClassSettings:
        """Return the settings of the class."""
        return self._parse(parse_settings, self._send("GET", "class"))

    def students(self) -> list[StudentStatus]:
        """Return all students, sorted by name."""
        return self._parse(
            lambda reply: list(map(_parse_student, reply["students"])),
            self._send("GET", "students"),
        )

    def usage(self, start: str, end: str) -> list[UsageRow]:
        """Return the usage from one ISO day to another, both included."""
        return self._parse(
            lambda reply: list(map(_parse_usage, reply["usage"])),
            self._send("GET", f"usage?from={start}&to={end}"),
        )

    def change_class(self, changes: Mapping[str, Any]) -> ClassSettings:
        """Change settings of the class, and return them all."""
        return self._parse(parse_settings, self._send("PATCH", "class", changes))

    def update_prices(self) -> None:
        """Make the server read Cloudflare's price list, which needs the account and its token."""
        self._send("POST", "prices", {})

    def add_student(self, student: NewStudent) -> Secret:
        """Add a student, and return the key."""
        body = {"name": student.name, **student.settings}
        try:
            return self._read_key(lambda: self._send("POST", "students", body))
        except BadRequestError as error:
            if error.status != CONFLICT_STATUS:
                raise
            raise InvalidOptionError(
                _("{name} has a key already").format(name=student.name),
                _("Replace it with %cfai class keys renew, or revoke it first."),
            ) from None

    def renew_student(self, name: str) -> Secret:
        """Replace the key of a student, and return the new one."""
        return self._read_key(lambda: self._send_for(name, "POST", "/renew"))

    def revoke_student(self, name: str) -> None:
        """Revoke the key of a student."""
        self._send_for(name, "DELETE")

    def change_student(self, name: str, changes: Mapping[str, Any]) -> StudentStatus:
        """Change settings of a student, and return the student."""
        return self._parse(_parse_student, self._send_for(name, "PATCH", body=changes))

    def _send_for(
        self, name: str, method: str, action: str = "", body: Mapping[str, Any] | None = None
    ) -> Any:
        """Send a request about a student. If there is no such student, suggest similar names."""
        path = f"students/{quote(name, safe='')}{action}"
        try:
            return self._send(method, path, {} if body is None else body)
        except WorkersAIError as error:
            if error.status != NOT_FOUND_STATUS or error.code != NOT_FOUND_CODE:
                raise
        names = [student.name for student in self.students()]
        raise InvalidOptionError(
            _("{name} is not in the class").format(name=name),
            " ".join(
                filter(
                    None,
                    (
                        format_suggestions(_find_similar(name, names)),
                        _("%cfai class keys lists the students."),
                    ),
                )
            ),
        )

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a request once: after a lost response, a retry could replace a new key."""
        from ..workers_ai.error_mapping import without_model_hints
        from ..workers_ai.http import json_kwargs, read_body

        url = f"{self.url}/admin/{path}"
        try:
            with without_model_hints():
                response = self._connection.send(
                    method, url, **({} if body is None else json_kwargs(body))
                )
                return self._connection.parse_reply(response, read_body(response))
        except CfaiError as error:
            raise self._with_hint(error) from None

    def _with_hint(self, error: CfaiError) -> CfaiError:
        """Return an error with a hint for teachers."""
        if isinstance(error, AuthenticationError):
            error.hint = _(
                "Check that {file} belongs to {url}. If you created the class again, deploy it "
                "again."
            ).format(file=ADMIN_KEY_FILE, url=self.url)
        elif isinstance(error, APIConnectionError | APITimeoutError):
            error.hint = _(
                "Check the network, and that {url} is the address that wrangler printed."
            ).format(url=self.url)
        elif isinstance(error, ResponseFormatError) or (
            isinstance(error, BadRequestError) and error.code is None
        ):
            return self._not_a_class_server()
        return error

    def _not_a_class_server(self) -> InvalidOptionError:
        return InvalidOptionError(
            _("{url} is not a class server").format(url=self.url),
            _(
                "Use --url with the address that wrangler deploy printed. If it is right, deploy "
                "the class first."
            ),
        )

    def _read_key(self, send: Callable[[], Any]) -> Secret:
        def read() -> str:
            key = send()["key"]
            if not isinstance(key, str):
                raise TypeError("key")
            return key

        try:
            return Secret.from_reader(read)
        except (TypeError, KeyError):
            raise self._not_a_class_server() from None

    def _parse(self, parse: Callable[[Any], Parsed], reply: Any) -> Parsed:
        try:
            return parse(reply)
        except (TypeError, KeyError, ValueError, AttributeError):
            raise self._not_a_class_server() from None


def open_class(folder: ClassFolder, new_url: str = "") -> tuple[ClassFolder, ClassAdmin]:
    """Return a class and its server.

    A new address gets the admin key only if it is a class server, and is stored if that accepts
    the key.

    Raises:
        InvalidOptionError: The address is not known or not valid, or the key can't be read.
        CfaiError: The server at a new address refuses the key.
    """
    if not new_url:
        if not folder.url:
            raise InvalidOptionError(
                _("The address of the class {name} is not known yet").format(name=folder.name),
                _(
                    "Deploy it, then add --url with the address that wrangler printed. It is "
                    "needed only once."
                ),
            )
        return folder, ClassAdmin(folder.url, folder.read_admin_key())
    server = ClassAdmin(check_class_url(new_url), folder.read_admin_key())
    try:
        server.check_address()
        server.settings()
        return folder.remember_url(server.url), server
    except BaseException:
        server.close()
        raise


def _find_similar(name: str, names: Sequence[str]) -> list[str]:
    """Return the names that a misspelled or shortened name may refer to, in any case."""
    by_lower_name = {known.lower(): known for known in names}
    return [by_lower_name[found] for found in find_closest(name, by_lower_name)]


def _parse_student(item: Mapping[str, Any]) -> StudentStatus:
    budget = item["budget"]
    return StudentStatus(
        name=str(item["name"]),
        budget=None if budget is None else float(budget),
        is_paused=bool(item["paused"]),
        is_revoked=bool(item["revoked"]),
        expires=str(item["expires"] or ""),
        spent=float(item["spent"]),
        reserved=float(item["reserved"]),
    )


def _parse_usage(item: Mapping[str, Any]) -> UsageRow:
    return UsageRow(
        day=str(item["day"]),
        student=str(item["student"]),
        model=str(item["model"]),
        calls=int(item["calls"]),
        neurons=float(item["neurons"]),
        estimated=float(item["estimated"]),
    )
