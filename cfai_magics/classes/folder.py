"""Write and read the folder of a class: the Worker, its configuration, and the keys."""

import csv
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from io import StringIO
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Any, NamedTuple

from .. import state_files
from ..errors import InvalidOptionError, StorageError
from ..i18n import _
from ..paths import parse_user_path, write_user_file
from ..secret import Secret, call_without_traceback
from .roster import NewStudent

PACKAGE = Path(__file__).parents[1]
SOURCES = (PACKAGE.parent / "class-server", PACKAGE / "data" / "class_server")
CONFIGURATION = "wrangler.jsonc"
ROSTER = "src/class.json"
CLASS_FILE = "class.toml"
KEYS_FILE = "keys.csv"
ADMIN_KEY_FILE = "admin.key"
HANDOUTS_FILE = "handouts.html"
PRIVATE_FILES = (KEYS_FILE, ADMIN_KEY_FILE, HANDOUTS_FILE)
IGNORED = (*PRIVATE_FILES, ".wrangler/", "node_modules/")
NAME_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,52}[a-z0-9])?")  # of a Worker
KEY_COLUMNS = ("name", "key")
MIN_NODE_VERSION = 22  # of wrangler


class ClassSettings(NamedTuple):
    """The settings of a class that matter for plans. Neurons are per day.

    Attributes:
        budget: Neurons for all students together.
        share: Neurons for each student without a budget of their own.
        models: Full names of the allowed models; None allows all with a known price.
    """

    budget: float
    share: float
    models: tuple[str, ...] | None


class ClassPlan(NamedTuple):
    """What the folder of a new class contains.

    Attributes:
        name: Name of the class and of its Worker.
        students: The students, each of whom gets a key.
        settings: Settings of the class, with the names of the class server.
        account_id: The account whose Workers AI answers; "" if it is not known.
        origins: Origins of web pages that may call the class server.
    """

    name: str
    students: Sequence[NewStudent]
    settings: Mapping[str, Any]
    account_id: str
    origins: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ClassFolder:
    """The folder of a class.

    Attributes:
        path: The folder.
        name: Name of the class.
        url: Address of its class server; "" if it is not known yet.
    """

    path: Path
    name: str
    url: str

    def remember_url(self, url: str) -> "ClassFolder":
        """Store the address of the class server, and return the folder with it."""
        changed = replace(self, url=url)
        _write_private(self.path / CLASS_FILE, _format_class_file(self.name, url))
        return changed

    def read_admin_key(self) -> Secret:
        """Return the admin key.

        Raises:
            InvalidOptionError: The file is missing, empty or unreadable.
        """
        path = self.path / ADMIN_KEY_FILE
        key = Secret.from_reader(lambda: _read(path).strip())
        if not key:
            raise _unreadable_error(path, _("it is empty"))
        return key

    def read_keys(self) -> dict[str, Secret]:
        """Return the keys in keys.csv by student. The dict is empty if the file is missing.

        Raises:
            InvalidOptionError: The file can't be read, or a spreadsheet changed its format.
        """
        path = self.path / KEYS_FILE
        return call_without_traceback(lambda: _parse_keys(path)) if path.exists() else {}

    def save_keys(self, keys: Mapping[str, Secret]) -> None:
        """Replace keys.csv, which only this user can read.

        Raises:
            StorageError: The file can't be written.
        """
        path = self.path / KEYS_FILE
        try:
            call_without_traceback(lambda: _write_private(path, _format_keys(keys)))
        except OSError as error:
            raise StorageError(
                _("{path} can't be written: {error}").format(
                    path=path, error=state_files.describe_error(error)
                ),
                _("Make the file writable, then run %cfai class keys renew NAME for a new key."),
            ) from None

    def read_roster(self) -> tuple[ClassSettings, list[NewStudent]]:
        """Return the settings and students that the class starts with.

        Raises:
            InvalidOptionError: The file is missing or not valid.
        """
        path = self.path / ROSTER
        try:
            roster = json.loads(_read(path))
            return parse_settings(roster["settings"]), [
                NewStudent(str(student["name"]), dict(student["settings"]))
                for student in roster["students"]
            ]
        except (ValueError, TypeError, KeyError, AttributeError):
            raise _unreadable_error(path, _("it is not valid")) from None


def parse_settings(settings: Mapping[str, Any]) -> ClassSettings:
    """Return the settings of a class from their JSON.

    Raises:
        KeyError: A setting is missing.
        TypeError: A setting has the wrong type.
        ValueError: A number is not valid.
    """
    models = settings["models"]
    return ClassSettings(
        budget=float(settings["budget"]),
        share=float(settings["share"]),
        models=None if models is None else tuple(map(str, models)),
    )


def find_class(text: str) -> ClassFolder:
    """Return the class in a folder; "" is the current folder.

    Raises:
        InvalidOptionError: There is no class in the folder.
    """
    path = parse_user_path(text or ".")
    class_file = path / CLASS_FILE
    if not class_file.is_file():
        cause = (
            _("There is no class in the folder {path}").format(path=path)
            if text
            else _("There is no class in the current folder")
        )
        raise InvalidOptionError(
            cause,
            _("Add --class FOLDER, or create a class with %cfai class new NAME --students FILE."),
        )
    import tomllib

    try:
        values = tomllib.loads(_read(class_file))
        name, url = values["name"], values.get("url", "")
    except (tomllib.TOMLDecodeError, KeyError):
        raise _unreadable_error(class_file, _("it is not valid")) from None
    if not isinstance(name, str) or not isinstance(url, str):
        raise _unreadable_error(class_file, _("it is not valid"))
    return ClassFolder(path, name, url)


def check_class_name(name: str) -> str:
    """Return the name of a new class. Raises InvalidOptionError if no Worker can have it."""
    if not NAME_PATTERN.fullmatch(name):
        raise InvalidOptionError(
            _("{name!r} is not a valid name for a class").format(name=name[:80]),
            _("Use up to 54 lowercase letters, digits and dashes, such as physics1."),
        )
    return name


def create_class(parent: Path, plan: ClassPlan) -> Path:
    """Write the folder of a new class, and return its path.

    The folder is complete or missing: a failure or an interrupt leaves nothing.

    Raises:
        InvalidOptionError: The folder exists.
        StorageError: The folder can't be written.
    """
    target = parent / plan.name
    _reject_existing(target)
    partial = parent / f".{plan.name}-{token_hex(4)}"
    try:
        partial.mkdir(state_files.FOLDER_MODE)
        _write_worker(partial, plan)
        _reject_existing(target)
        partial.rename(target)
    except OSError as error:
        raise StorageError(
            _("{path} can't be written: {error}").format(
                path=target, error=state_files.describe_error(error)
            ),
            _("Run the command in a folder that you can write to."),
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _reject_existing(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise InvalidOptionError(
            _("{path} already exists").format(path=target),
            _("Choose another name. %cfai class keys add adds students to a class."),
        )


def _write_worker(folder: Path, plan: ClassPlan) -> None:
    """Write all files of a class."""
    source = next(path for path in SOURCES if (path / CONFIGURATION).is_file())
    (folder / "src").mkdir()
    for path in (source / "src").iterdir():  # without the permissions of installed files
        (folder / "src" / path.name).write_bytes(path.read_bytes())
    keys = {student.name: create_key("cfs_") for student in plan.students}
    admin_key = create_key("cfsa_")
    configuration = _configure(
        (source / CONFIGURATION).read_text(encoding="utf-8"),
        {
            "name": plan.name,
            "CLASS_NAME": plan.name,
            "CLOUDFLARE_ACCOUNT_ID": plan.account_id,
            "ADMIN_KEY_HASH": hash_key(admin_key),
            "ALLOWED_ORIGINS": ", ".join(plan.origins),
        },
    )
    (folder / CONFIGURATION).write_text(configuration, encoding="utf-8")
    (folder / ROSTER).write_text(_format_roster(plan, keys), encoding="utf-8")
    ignored = "".join(f"{name}\n" for name in IGNORED)
    (folder / ".gitignore").write_text(ignored, encoding="utf-8")
    (folder / "README.md").write_text(_format_readme(plan), encoding="utf-8")
    _write_private(folder / CLASS_FILE, _format_class_file(plan.name, ""))
    call_without_traceback(lambda: _write_private(folder / KEYS_FILE, _format_keys(keys)))
    call_without_traceback(
        lambda: _write_private(folder / ADMIN_KEY_FILE, f"{admin_key.reveal()}\n")
    )


def create_key(prefix: str) -> Secret:
    """Return a new key with 256 random bits."""
    return Secret.from_reader(lambda: f"{prefix}{token_urlsafe(32)}")


def hash_key(key: Secret) -> str:
    """Return the SHA-256 of a key as hex, which is all that the class server stores."""
    return sha256(key.reveal().encode()).hexdigest()


def mask_key(key: Secret | None) -> str:
    """Return the last four characters of a key, or "" if the key is not known."""
    return f"…{key.reveal()[-4:]}" if key else ""


def write_handouts(path: Path, page: Secret) -> None:
    """Write a page with keys, which only this user can read.

    Raises:
        StorageError: The file can't be written.
    """
    try:
        call_without_traceback(lambda: _write_private(path, page.reveal()))
    except OSError as error:
        raise StorageError(
            _("{path} can't be written: {error}").format(
                path=path, error=state_files.describe_error(error)
            ),
            _("Choose another file with --output FILE."),
        ) from None


def _configure(template: str, values: Mapping[str, str]) -> str:
    """Return the configuration with these values. Comments of the template stay."""
    lines = [line for line in template.splitlines() if not line.lstrip().startswith('"$schema"')]
    for name, value in values.items():
        start = f'"{name}": "'
        (position,) = [n for n, line in enumerate(lines) if line.lstrip().startswith(start)]
        indent, _start, rest = lines[position].partition(start)
        lines[position] = f'{indent}"{name}": {json.dumps(value)}{rest.partition(chr(34))[2]}'
    return "\n".join(lines) + "\n"


def _format_roster(plan: ClassPlan, keys: Mapping[str, Secret]) -> str:
    students = [
        {
            "name": student.name,
            "key_hash": hash_key(keys[student.name]),
            "settings": dict(student.settings),
        }
        for student in plan.students
    ]
    roster = {"id": token_urlsafe(16), "settings": dict(plan.settings), "students": students}
    return json.dumps(roster, indent=2, ensure_ascii=False) + "\n"


def _format_class_file(name: str, url: str) -> str:
    return f"name = {json.dumps(name)}\nurl = {json.dumps(url)}\n"


def _format_keys(keys: Mapping[str, Secret]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(KEY_COLUMNS)
    writer.writerows((name, key.reveal()) for name, key in keys.items())
    return text.getvalue()


def _parse_keys(path: Path) -> dict[str, Secret]:
    header, *rows = [tuple(row) for row in csv.reader(StringIO(_read(path))) if row] or [()]
    if header != KEY_COLUMNS or any(len(row) != len(KEY_COLUMNS) for row in rows):
        raise InvalidOptionError(
            _("{path} is not in the format {columns}").format(
                path=path, columns=",".join(KEY_COLUMNS)
            ),
            _("Save it as CSV with commas, in UTF-8. Nothing was changed."),
        )
    return {name: Secret(key) for name, key in rows}


def _format_readme(plan: ClassPlan) -> str:
    account_note = _("Set CLOUDFLARE_ACCOUNT_ID in wrangler.jsonc to your account ID first.")
    sections = [
        f"# {plan.name}",
        _(
            "A class server for cfai-magics: it shares one Workers AI account among {count} "
            "students. Each student has a key and a daily budget of neurons."
        ).format(count=len(plan.students)),
        _(
            "Run these two commands in this folder, with Node.js {version} or later. The second "
            "one asks for an API token with the permission Workers AI, which only the server gets."
        ).format(version=MIN_NODE_VERSION),
        *([] if plan.account_id else [account_note]),
        "```sh\nnpx wrangler deploy\nnpx wrangler secret put CLOUDFLARE_API_TOKEN\n```",
        _(
            "The first command prints the address of the server. Enter it once, and print a card "
            "for each student:"
        ),
        "```sh\ncfai class usage --url https://…\ncfai class keys print\n```",
        _(
            "keys.csv has the keys of the students, and admin.key the key for the commands of "
            "cfai class. Only you can read them; do not share or commit them. The server stores "
            "their hashes. src/class.json has the students that the class starts with; later "
            "changes are made with cfai class."
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _read(path: Path) -> str:
    try:
        return state_files.read_text(path)
    except state_files.UnreadableFileError as error:
        raise _unreadable_error(path, str(error)) from None


def _unreadable_error(path: Path, reason: str) -> InvalidOptionError:
    return InvalidOptionError(
        _("{path} can't be read: {error}").format(path=path, error=reason),
        _("Restore the file, or create a new class with %cfai class new."),
    )


def _write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, also if it existed with other permissions."""
    with suppress(FileNotFoundError):
        path.chmod(state_files.FILE_MODE)
    write_user_file(path, [text.encode()], mode=state_files.FILE_MODE)
