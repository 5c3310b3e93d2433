"""Create a class on one account, and manage its keys, shares and usage (for teachers)."""

import csv
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from ..arguments import find_closest, format_suggestions
from ..chat.frontend import Frontend
from ..chat.options import Option
from ..classes.admin import ClassAdmin, StudentStatus, open_class
from ..classes.fit import format_budget
from ..classes.folder import (
    HANDOUTS_FILE,
    KEYS_FILE,
    MIN_NODE_VERSION,
    ClassFolder,
    ClassPlan,
    check_class_name,
    create_class,
    find_class,
    mask_key,
    write_handouts,
)
from ..classes.handouts import render_handouts
from ..classes.new_settings import (
    build_settings,
    parse_origin,
    parse_share,
    resolve_models,
    warn_about_budget,
)
from ..classes.roster import (
    NewStudent,
    normalize_name,
    parse_names,
    read_students,
)
from ..display.class_usage import ROW_COLUMNS, ClassUsageReport
from ..display.tables import Table, format_neurons
from ..errors import CfaiError, InvalidOptionError, StorageError
from ..i18n import _, mark, ngettext
from ..paths import parse_user_path, write_user_file
from ..session.session import Session
from ..state_files import describe_error

OPTIONS = (
    Option(
        "what",
        choices=("new", "keys", "usage", "share", "pause", "resume"),
        help=mark("what to do; all but new apply to a class that exists"),
    ),
    Option(
        "arguments",
        nargs="*",
        help=mark("new NAME; keys add, revoke, renew or print; share NAME NEURONS; pause NAME"),
    ),
    Option(
        "--class",
        dest="folder",
        default="",
        metavar="FOLDER",
        help=mark("the folder of the class (default: the current folder)"),
    ),
    Option(
        "--url",
        default="",
        metavar="ADDRESS",
        help=mark("the address that wrangler deploy printed; needed once"),
    ),
    Option(
        "--students",
        default="",
        metavar="FILE",
        help=mark("with new, keys add: a CSV file with names, and columns with settings"),
    ),
    Option(
        "--share",
        default="",
        metavar="NEURONS",
        help=mark("with new: neurons per day for each student (default: 300)"),
    ),
    Option(
        "--budget",
        default="",
        metavar="NEURONS",
        help=mark("with new: neurons per day for the whole class (default: 10,000)"),
    ),
    Option(
        "--models",
        nargs="+",
        default=(),
        metavar="NAME",
        help=mark("with new: the models that students may use (default: all)"),
    ),
    Option(
        "--max-tokens",
        type=int,
        metavar="N",
        help=mark("with new: the longest answer (default: 2,048 tokens)"),
    ),
    Option(
        "--system",
        default="",
        metavar="TEXT",
        help=mark("with new: sent before the messages of each question"),
    ),
    Option(
        "--time-zone",
        default="",
        metavar="ZONE",
        help=mark("with new: time zone of the hours of students (default: UTC)"),
    ),
    Option(
        "--site",
        nargs="+",
        default=(),
        metavar="ADDRESS",
        help=mark("with new: sites with lessons in the browser that may use the class server"),
    ),
    Option(
        "--from",
        dest="start",
        default="",
        metavar="DAY",
        help=mark("with usage: first day (UTC), such as 2026-11-27 (default: today)"),
    ),
    Option(
        "--to",
        dest="end",
        default="",
        metavar="DAY",
        help=mark("with usage: last day (UTC; default: today)"),
    ),
    Option(
        "--csv",
        default="",
        metavar="FILE",
        help=mark("with usage: save the usage by day, student and model"),
    ),
    Option(
        "--output",
        default="",
        metavar="FILE",
        help=mark("with keys print: the file (default: handouts.html in the class)"),
    ),
)


# The options that an action uses, besides --class and --url.
ACTION_OPTIONS: Mapping[str, Sequence[str]] = {
    "new": (
        *("students", "share", "budget", "models", "max_tokens", "system", "time_zone"),
        "site",
    ),
    "keys": ("students", "output"),
    "usage": ("start", "end", "csv"),
    "share": (),
    "pause": (),
    "resume": (),
}
OPTION_FLAGS = {
    option.argparse_kwargs.get("dest") or option.flags[0].lstrip("-").replace("-", "_"): (
        option.flags[0]
    )
    for option in OPTIONS
    if option.flags[0].startswith("--")
}
ALWAYS_ALLOWED = {"folder", "url"}
KEY_COLUMNS = (
    *(mark("student"), mark("key"), mark("state")),
    *(mark("neurons per day"), mark("used or reserved today")),
)


class _Class(NamedTuple):
    """An open class."""

    folder: ClassFolder
    server: ClassAdmin


ClassAction = Callable[[Frontend, Namespace], object]


def run(frontend: Frontend, options: Namespace) -> object:
    """Run the action named by the first word, such as `new` or `usage`."""
    _reject_unused_options(options)
    return ACTIONS[options.what](frontend, options)


def _reject_unused_options(options: Namespace) -> None:
    """Raise InvalidOptionError for an option that the action does not use."""
    used = ALWAYS_ALLOWED.union(ACTION_OPTIONS[options.what])
    if options.what == "new":
        used -= ALWAYS_ALLOWED
    for name, flag in OPTION_FLAGS.items():
        if getattr(options, name) and name not in used:
            raise InvalidOptionError(
                _("{flag} does not apply to {command}").format(
                    flag=flag, command=f"%cfai class {options.what}"
                ),
                _("%cfai class -h shows the options of each action."),
            )


# --- new


def _create(frontend: Frontend, options: Namespace) -> str:
    if len(options.arguments) != 1 or not options.students:
        raise InvalidOptionError(
            _("A new class needs a name and a file with the names of the students"),
            _("Example: %cfai class new physics1 --students names.csv --share 300"),
        )
    name = check_class_name(options.arguments[0])
    notes: list[str] = []
    settings = build_settings(options, frontend.session.catalog(), notes)
    students = _read_students(frontend, options)
    account_id = _find_account_id(frontend.session)
    origins = [parse_origin(address) for address in options.site]
    path = create_class(Path.cwd(), ClassPlan(name, students, settings, account_id, origins))
    notes = [*warn_about_budget(students, settings), *notes]
    return "\n".join([*_format_next_steps(path.name, len(students), account_id), *notes])


def _read_students(frontend: Frontend, options: Namespace) -> list[NewStudent]:
    students = read_students(parse_user_path(options.students))
    return resolve_models(students, frontend.session.catalog())


def _find_account_id(session: Session) -> str:
    """Return the account ID of the login, or "" if there is none."""
    try:
        return session.backend.credential_store.find().account_id
    except CfaiError:
        return ""


def _format_next_steps(name: str, count: int, account_id: str) -> list[str]:
    created = ngettext(
        "Created the folder {name} with a key for {count} student. Only you can read {file}.",
        "Created the folder {name} with keys for {count} students. Only you can read {file}.",
        count,
    ).format(name=name, count=count, file=f"{name}/{KEYS_FILE}")
    account_note = _("First set CLOUDFLARE_ACCOUNT_ID in {file} to your account ID.").format(
        file=f"{name}/wrangler.jsonc"
    )
    return [
        created,
        *([] if account_id else [account_note]),
        _("Then run these commands in a terminal, with Node.js {version} or later:").format(
            version=MIN_NODE_VERSION
        ),
        f"  cd {name}",
        "  npx wrangler deploy",
        "  npx wrangler secret put CLOUDFLARE_API_TOKEN",
        _("  cfai class usage --url https://…  (once, with the address that wrangler printed)"),
    ]


# --- keys


def _run_keys(frontend: Frontend, options: Namespace) -> object:
    verb, *names = options.arguments or ["list"]
    if verb not in KEY_ACTIONS:
        suggestion = format_suggestions(find_closest(verb, KEY_ACTIONS))
        choices = _("Use add, revoke, renew or print, or nothing for a list.")
        raise InvalidOptionError(
            _("{command} does not know {word!r}").format(command="%cfai class keys", word=verb),
            f"{suggestion} {choices}".lstrip(),
        )
    if (options.students and verb != "add") or (options.output and verb != "print"):
        raise InvalidOptionError(
            _("--students is for {add}, and --output for {show}").format(
                add="%cfai class keys add", show="%cfai class keys print"
            )
        )
    return KEY_ACTIONS[verb](frontend, options, names)


def _open(frontend: Frontend, options: Namespace) -> _Class:
    """Open the class. If its address is new, also check the server's account."""
    opened = _Class(*open_class(find_class(options.folder), options.url))
    if options.url:
        try:
            opened.server.update_prices()
        except CfaiError as error:
            frontend.print(
                _("The students get no answers yet: {reason}").format(reason=error.cause)
            )
            frontend.print(
                _(
                    "Check CLOUDFLARE_ACCOUNT_ID in wrangler.jsonc, and run "
                    "npx wrangler secret put CLOUDFLARE_API_TOKEN."
                )
            )
    return opened


def _list_keys(frontend: Frontend, options: Namespace, _names: Sequence[str]) -> Table:
    folder, server = _open(frontend, options)
    with server:
        students = server.students()
        settings = server.settings()
    keys = folder.read_keys()
    rows = tuple(
        (
            student.name,
            mask_key(keys.get(student.name)),
            _describe_state(student),
            format_budget(settings.share if student.budget is None else student.budget),
            format_neurons(student.spent + student.reserved),
        )
        for student in students
    )
    used = sum(student.spent + student.reserved for student in students)
    note = _("The class used or reserved {used} of {budget} neurons today (UTC).").format(
        used=format_neurons(used), budget=format_budget(settings.budget)
    )
    if not rows:
        note = _("The class has no students. %cfai class keys add NAME adds one.")
    return Table(tuple(map(_, KEY_COLUMNS)), rows, note, number_columns=(3, 4))


def _describe_state(student: StudentStatus) -> str:
    if student.is_revoked:
        return _("revoked")
    if student.expires and student.expires <= datetime.now(UTC).isoformat():
        return _("expired")
    return _("paused") if student.is_paused else _("active")


def _add_keys(frontend: Frontend, options: Namespace, names: Sequence[str]) -> str:
    students = parse_names(names)
    if options.students:
        students += _read_students(frontend, options)
    if not students:
        raise InvalidOptionError(
            _("The name of a student is missing"),
            _("Use %cfai class keys add NAME, with quotes around spaces, or --students FILE."),
        )
    folder, server = _open(frontend, options)
    with server:
        known = {student.name for student in server.students() if not student.is_revoked}
        taken = [student.name for student in students if student.name in known]
        if taken:
            raise InvalidOptionError(
                _("In the class already: {names}").format(names=", ".join(taken)),
                _("Leave them out, or use %cfai class keys renew. Nothing was changed."),
            )
        keys = folder.read_keys()
        for student in students:
            # Saved at once: a failure later must not lose the key.
            keys[student.name] = server.add_student(student)
            folder.save_keys(keys)
    return _describe_saved_keys(folder, [student.name for student in students])


def _renew_key(frontend: Frontend, options: Namespace, names: Sequence[str]) -> str:
    name = _require_name(names, "renew")
    folder, server = _open(frontend, options)
    with server:
        keys = {**folder.read_keys(), name: server.renew_student(name)}
    folder.save_keys(keys)
    return _describe_saved_keys(folder, [name])


def _describe_saved_keys(folder: ClassFolder, names: Sequence[str]) -> str:
    return ngettext(
        "The new key of {names} is in {path}. %cfai class keys print makes a card.",
        "The new keys of {names} are in {path}. %cfai class keys print makes a card for each.",
        len(names),
    ).format(names=", ".join(names), path=folder.path / KEYS_FILE)


def _revoke_key(frontend: Frontend, options: Namespace, names: Sequence[str]) -> str:
    name = _require_name(names, "revoke")
    folder, server = _open(frontend, options)
    with server:
        server.revoke_student(name)
    keys = folder.read_keys()
    if name in keys:
        folder.save_keys({other: key for other, key in keys.items() if other != name})
    return _("The key of {name} does not work any more. The usage is kept.").format(name=name)


def _require_name(names: Sequence[str], verb: str) -> str:
    """Return the name of one student, whose words may be typed without quotes."""
    name = normalize_name(" ".join(names))
    if not name:
        raise InvalidOptionError(
            _("The name of a student is missing"),
            _("Use {command} NAME.").format(command=f"%cfai class keys {verb}"),
        )
    return name


def _print_keys(frontend: Frontend, options: Namespace, names: Sequence[str]) -> str:
    folder = find_class(options.folder)
    if options.url or not folder.url:
        folder, server = _open(frontend, options)
        server.close()
    keys = folder.read_keys()
    wanted = [student.name for student in parse_names(names)] or list(keys)
    missing = [name for name in wanted if name not in keys]
    if missing or not wanted:
        raise InvalidOptionError(
            _("{path} has no key for {names}").format(
                path=folder.path / KEYS_FILE, names=", ".join(missing) or _("any student")
            ),
            _("%cfai class keys renew NAME creates a new one."),
        )
    path = parse_user_path(options.output) if options.output else folder.path / HANDOUTS_FILE
    page = render_handouts(folder.name, folder.url, {name: keys[name] for name in wanted})
    write_handouts(path, page)
    return ngettext(
        "Wrote {count} card to {path}, which only you can read. Open it in a browser to print.",
        "Wrote {count} cards to {path}, which only you can read. Open it in a browser to print.",
        len(wanted),
    ).format(count=len(wanted), path=path)


KEY_ACTIONS: Mapping[str, Callable[[Frontend, Namespace, Sequence[str]], object]] = {
    "list": _list_keys,
    "add": _add_keys,
    "revoke": _revoke_key,
    "renew": _renew_key,
    "print": _print_keys,
}


# --- usage


def _show_usage(frontend: Frontend, options: Namespace) -> ClassUsageReport | str:
    today = datetime.now(UTC).date().isoformat()
    start = _parse_day(options.start, "--from") or min(today, options.end or today)
    end = _parse_day(options.end, "--to") or today
    if start > end:
        raise InvalidOptionError(
            _("--from {start} is after --to {end}").format(start=start, end=end),
            _("Exchange the days."),
        )
    _folder, server = _open(frontend, options)
    with server:
        rows = server.usage(start, end)
    if options.csv:
        return _save_csv(parse_user_path(options.csv), rows)
    period = (
        _("on {day} (UTC)").format(day=start)
        if start == end
        else _("from {start} to {end} (UTC)").format(start=start, end=end)
    )
    count = sum(row.calls for row in rows)
    note = ngettext(
        "{count:,} call {period}: {neurons} neurons, of which {estimated} are estimated.",
        "{count:,} calls {period}: {neurons} neurons, of which {estimated} are estimated.",
        count,
    ).format(
        count=count,
        period=period,
        neurons=format_neurons(sum(row.neurons for row in rows)),
        estimated=format_neurons(sum(row.estimated for row in rows)),
    )
    if not rows:
        note = _("No calls {period}.").format(period=period)
    title = _("Neurons by student {period}").format(period=period)
    return ClassUsageReport(rows, title, note)


def _parse_day(text: str, flag: str) -> str:
    if not text:
        return ""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise InvalidOptionError(
            _("{flag} {text!r} is not a day").format(flag=flag, text=text),
            _("Use a day such as 2026-11-27."),
        ) from None


def _save_csv(path: Path, rows: Sequence[Sequence[object]]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(ROW_COLUMNS)
    writer.writerows(rows)
    try:
        write_user_file(path, [text.getvalue().encode()])
    except OSError as error:
        raise StorageError(
            _("{path} can't be written: {error}").format(path=path, error=describe_error(error)),
            _("Specify another file."),
        ) from None
    return _("Saved to {path}.").format(path=path.absolute())


# --- share, pause, resume


def _set_share(frontend: Frontend, options: Namespace) -> str:
    if not options.arguments:
        raise InvalidOptionError(
            _("A number of neurons is missing"),
            _("Use %cfai class share NAME 500, or %cfai class share 300 for the whole class."),
        )
    *words, amount = options.arguments
    name = _parse_optional_name(words)
    budget = None if name and amount == "off" else parse_share(amount)
    _folder, server = _open(frontend, options)
    with server:
        if not name:
            settings = server.change_class({"share": budget})
            return _("Each student without an own budget has {share} neurons a day.").format(
                share=format_budget(settings.share)
            )
        student = server.change_student(name, {"budget": budget})
    if student.budget is None:
        return _("{name} has the share of the class again.").format(name=student.name)
    return _("{name} has {budget} neurons a day.").format(
        name=student.name, budget=format_budget(student.budget)
    )


def _parse_optional_name(words: Sequence[str]) -> str:
    """Return the name of a student, or "" for the class if there are no words.

    Raises:
        InvalidOptionError: The words are blank, such as those of an empty variable in a shell.
    """
    name = normalize_name(" ".join(words))
    if words and not name:
        raise InvalidOptionError(
            _("The name of a student is missing"),
            _("Leave out the empty name if you mean the whole class."),
        )
    return name


def _set_paused(frontend: Frontend, options: Namespace) -> str:
    is_paused = options.what == "pause"
    name = _parse_optional_name(options.arguments)
    _folder, server = _open(frontend, options)
    with server:
        if name:
            server.change_student(name, {"paused": is_paused})
        else:
            server.change_class({"paused": is_paused})
    if name:
        text = _("{name} is paused.") if is_paused else _("{name} can ask again.")
        return text.format(name=name)
    if is_paused:
        return _("The class is paused. %cfai class resume lets the students ask again.")
    return _("The students of the class can ask again.")


ACTIONS: Mapping[str, ClassAction] = {
    "new": _create,
    "keys": _run_keys,
    "usage": _show_usage,
    "share": _set_share,
    "pause": _set_paused,
    "resume": _set_paused,
}
