"""Tells whether to record and to replay, and in which file, from all that may say so."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import BadOption
from ..paths import user_path
from ..settings import MODES

VARIABLE = "CFAI_REPLAY"
INSTANT_VARIABLE = "CFAI_REPLAY_INSTANT"
SUFFIX = ".cfai.jsonl"
FOUND = "found"  # nobody said anything, and a recording lies beside the notebook
IN_WORDS = {
    "auto": "recorded answers are replayed, all others are asked for and recorded",
    "only": "recorded answers are replayed, and nothing else is asked",
    "refresh": "every question is asked, and its answer recorded anew",
    "off": "nothing is recorded or replayed",
    FOUND: "recorded answers are replayed, and nothing is recorded",
}


@dataclass(frozen=True, slots=True)
class Way:
    """What is done with recordings, where, and who said so.

    `mode` is one of MODES, or FOUND; `path` is None where the file is that beside the notebook.
    """

    mode: str
    path: Path | None = None
    source: str = ""
    instant: bool = False

    @property
    def words(self) -> str:
        """What holds, for a reader: nobody has to know a mode that nobody said."""
        return IN_WORDS[self.mode] if self.mode == FOUND else f"{self.mode}: {IN_WORDS[self.mode]}"

    @property
    def replays(self) -> bool:
        """Whether recorded answers are used."""
        return self.mode in {"auto", "only", FOUND}

    @property
    def records(self) -> bool:
        """Whether new answers are kept."""
        return self.mode in {"auto", "refresh"}


OFF = Way("off", source="nothing says otherwise")


def beside(notebook: str) -> Path | None:
    """Return the file for a notebook's recordings; None where nobody knows the notebook.

    A notebook that has moved since its kernel started is not known any more.
    """
    path = Path(notebook)
    return path.with_suffix(SUFFIX) if notebook and path.is_file() else None


def written(text: str, source: str) -> Way:
    """Return the way that MODE or MODE:PATH stands for; `source` is who wrote it."""
    mode, _, path = text.partition(":")
    if mode not in MODES:
        raise BadOption(
            f"{source} is {text!r}, which is none of {', '.join(MODES)}",
            f"Write for example {source}=only, or {source}=only:lesson{SUFFIX}.",
        )
    return Way(mode, user_path(path) if path else None, source)


def found(
    said: Way | None,
    environ: Mapping[str, str],
    kept: Way | None,
    notebook: str,
    *,
    locked: bool = False,
) -> Way:
    """Return the way that holds: of a command, of the environment, of the settings, or FOUND.

    Raises BadOption where one of them needs a file and names none. What is `kept` in settings
    is meant for notebooks: where there is none, nothing is recorded. Where it is `locked`, the
    others loosen nothing of it.
    """
    variable = environ.get(VARIABLE, "")
    way = said or (written(variable, VARIABLE) if variable else None)
    if locked and kept is not None:
        way, kept = None, _held(kept, way)
    if way is None and kept is not None:
        way = _kept(kept, notebook)
    instant = bool(environ.get(INSTANT_VARIABLE))
    if way is None:
        path = beside(notebook)
        is_there = path is not None and path.is_file()
        way = Way(FOUND, path, "the file lies beside the notebook") if is_there else OFF
    return replace(_placed(way, notebook), instant=way.instant or instant)


def _held(locked: Way, said: Way | None) -> Way:
    """Return the locked way, with what was said of it that loosens nothing: a file, the rhythm."""
    if said is None:
        return locked
    names_file = locked.path is None and said.mode == locked.mode
    return replace(locked, path=said.path if names_file else locked.path, instant=said.instant)


def _kept(way: Way, notebook: str) -> Way:
    if way.mode in {"only", "off"} or way.path is not None or beside(notebook) is not None:
        return way
    return replace(way, mode="off", source=f"{way.source} says {way.mode}, of notebooks")


def _placed(way: Way, notebook: str) -> Way:
    if way.mode == "off" or way.path is not None:
        return way
    path = beside(notebook)
    if path is None:
        raise _nowhere(way.mode, Path(notebook).name)
    return replace(way, path=path)


def _nowhere(mode: str, notebook: str) -> BadOption:
    """Return the error for a notebook that nobody knows, or that was renamed since."""
    where = f"%cfai replay {mode} lesson{SUFFIX}, or {VARIABLE}={mode}:lesson{SUFFIX}"
    if notebook:
        return BadOption(
            f"{notebook} was renamed or moved after its kernel had started, so nobody tells where "
            "its recording lies",
            f"Restart the kernel, or give a path: {where}.",
        )
    return BadOption(
        "Nobody tells here which notebook this is, and so where its recording lies",
        f"Give a path: {where}.",
    )
