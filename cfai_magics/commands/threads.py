"""The command about threads: list, show, use, fork, reset and export them."""

import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

from ..asking import continuing
from ..asking.door import Door, Workspace
from ..errors import BadOption
from ..escaping import markdown_text
from ..markdown import without_remote_content
from ..paths import user_path
from ..prompt.conversation import Turn, on_old_answers
from ..render.formats import Markdown, Table, neurons
from ..store.threads import Threads

LIST = "%cfai thread lists them."
Run = Callable[[Door, Threads, Namespace], object]


def thread(door: Door, options: Namespace) -> object:
    """Do what the first word says with a thread."""
    with Threads(door.session.home) as threads:
        return ACTIONS[options.what](door, threads, options)


def _in_use(door: Door, options: Namespace) -> str:
    """Return the thread named, else the one in use."""
    if options.name:
        return str(options.name)
    return _workspace(door, "Name the thread").thread


def _workspace(door: Door, told: str) -> Workspace:
    if door.workspace is None:
        raise BadOption(f"{told}: a shell has none in use", LIST)
    return door.workspace


def _turns(threads: Threads, name: str) -> tuple[Turn, ...]:
    turns = threads.turns(name)
    if not turns:
        raise BadOption(f"There is no thread {name!r}", LIST)
    return turns


def _list(door: Door, threads: Threads, _options: Namespace) -> Table:
    in_use = door.workspace.thread if door.workspace else ""
    rows = tuple(
        (
            each.name,
            f"{each.turns:,}",
            each.asked_at.replace("T", " ").replace("+00:00", " UTC"),
            neurons(each.neurons),
            "in use" if each.name == in_use else "",
        )
        for each in threads.all()
    )
    note = f"-c continues {in_use}." if in_use else ""
    return Table(("thread", "turns", "last asked", "neurons", ""), rows, note)


def _show(door: Door, threads: Threads, options: Namespace) -> Markdown:
    return Markdown(_written(_turns(threads, _in_use(door, options))))


def _written(turns: tuple[Turn, ...]) -> str:
    """Return the turns as Markdown: the questions quoted, the answers as they are."""
    old = {turn.position for turn in on_old_answers(turns)}
    return "\n\n".join(_turn(turn, old=turn.position in old) for turn in turns) + "\n"


def _page(turns: tuple[Turn, ...]) -> str:
    """Return the turns as Markdown for a file, which loads nothing wherever it is opened."""
    return without_remote_content(_written(turns))


def _turn(turn: Turn, *, old: bool) -> str:
    model = turn.model.rpartition("/")[2]
    cost = "" if turn.neurons is None else f" · {neurons(turn.neurons)} neurons {turn.basis}"
    mark = " · **stands on an old answer**" if old else ""
    asked = "\n".join(f"> {line}" for line in turn.question.splitlines())
    tokens = f"{turn.prompt_tokens:,}→{turn.completion_tokens:,} tokens"
    head = f"**{turn.position}** · {markdown_text(model)} · {tokens}{cost}{mark}"
    return f"{head}\n\n{asked}\n\n{turn.answer}"


def _use(door: Door, threads: Threads, options: Namespace) -> str:
    workspace = _workspace(door, "Name the thread with -c=NAME")
    if options.name:
        workspace.thread = options.name
    count = len(threads.turns(workspace.thread))
    return f"-c continues {workspace.thread}, which has {_counted(count)}."


def _fork(door: Door, threads: Threads, options: Namespace) -> str:
    workspace = _workspace(door, "Fork in a notebook")
    if not options.name:
        raise BadOption("A fork needs a name", "Write %cfai thread fork NAME.")
    if threads.turns(options.name):
        raise BadOption(f"There is a thread {options.name!r} already", "Choose another name.")
    turns = _turns(threads, workspace.thread)
    until = len(turns) if options.at is None else options.at
    if not 1 <= until <= len(turns):
        raise BadOption(f"--at {until} is no turn", f"It has turns 1 to {len(turns)}.")
    count = threads.copy(workspace.thread, options.name, until)
    workspace.thread = options.name
    return f"-c continues {options.name}, which begins with {_counted(count)}."


def _reset(door: Door, threads: Threads, options: Namespace) -> str:
    name = _in_use(door, options)
    return f"{_counted(threads.delete(name))} of {name} deleted."


def _counted(count: int) -> str:
    return "1 turn" if count == 1 else f"{count:,} turns"


def _export(door: Door, threads: Threads, options: Namespace) -> str:
    name = _in_use(door, options)
    turns = _turns(threads, name)
    path = user_path(options.to or f"{_file_name(name)}.md")
    writers: Mapping[str, Callable[[tuple[Turn, ...]], str]] = {".md": _page, ".json": _json}
    if path.suffix not in writers:
        raise BadOption(f"{path} is neither .md nor .json", "Write for example --to talk.md.")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(writers[path.suffix](turns))
    except FileExistsError:
        raise BadOption(f"{path} exists", "Choose another file with --to FILE.") from None
    except OSError as error:
        raise BadOption(f"{path} can't be written: {error}", "Choose another with --to.") from None
    return f"{_counted(len(turns))} of {name} written to {path}."


def _file_name(name: str) -> str:
    """Return a thread's name as a file's: of a notebook, that of the notebook."""
    stem = Path(name).stem if name.endswith(".ipynb") else name
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in stem) or "thread"


def _json(turns: tuple[Turn, ...]) -> str:
    """Return the turns as OpenAI's messages, which other programs take."""
    messages = [message for turn in turns for message in turn.messages]
    return json.dumps({"messages": messages}, indent=2, ensure_ascii=False) + "\n"


def _keep(door: Door, _threads: Threads, _options: Namespace) -> str:
    workspace = _workspace(door, "Keep a turn in a notebook")
    left = workspace.left_out
    if left is None:
        raise BadOption("No turn was left out", "Only one whose answer broke off is.")
    workspace.left_out = None
    return " ".join(continuing.keep(left.turn, left.place))


ACTIONS: Mapping[str, Run] = {
    "list": _list,
    "show": _show,
    "use": _use,
    "fork": _fork,
    "reset": _reset,
    "export": _export,
    "keep": _keep,
}
