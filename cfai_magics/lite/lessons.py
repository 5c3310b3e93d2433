"""Copy lessons with their recordings, images and course file into the contents of a site."""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..course import COURSE_FILE_NAME, find_course
from ..errors import InvalidOptionError
from ..i18n import _
from ..notebook import MAX_NOTEBOOK_BYTES
from ..replay.record_mode import CASSETTE_SUFFIX
from ..state_files import UnreadableFileError, read_text

IMPORT_PATTERN = re.compile(r"^[ \t]*(?:from|import)[ \t]+(\w+)", re.MULTILINE)


class Lesson(NamedTuple):
    """A notebook, and the files in its folder that the site needs.

    Attributes:
        path: The path of the notebook.
        files: Other files that are copied next to it.
        modules: Names of the top-level modules that its cells import.
    """

    path: Path
    files: Sequence[Path]
    modules: frozenset[str]


def read_lessons(paths: Iterable[Path]) -> list[Lesson]:
    """Return the lessons at these paths.

    Raises:
        InvalidOptionError: A path is not a notebook, two notebooks have the same name, or a
            course file is not valid.
    """
    lessons = [_read_lesson(path) for path in paths]
    for index, lesson in enumerate(lessons):
        if any(lesson.path.stem == other.path.stem for other in lessons[:index]):
            raise InvalidOptionError(
                _("Two lessons have the name {name}").format(name=lesson.path.name),
                _("Rename one of them."),
            )
    return lessons


def _read_lesson(path: Path) -> Lesson:
    if path.suffix != ".ipynb" or not path.is_file():
        raise InvalidOptionError(
            _("{path} is not a notebook").format(path=path),
            _("Example: {example}").format(example="cfai lite build lesson.ipynb --output site"),
        )
    try:
        text = read_text(path, MAX_NOTEBOOK_BYTES)
    except UnreadableFileError as error:
        raise InvalidOptionError(
            _("{path} can't be read: {reason}").format(path=path, reason=error),
            _("Check the path."),
        ) from None
    course = find_course(path.parent.absolute()).path
    course_text = course.read_text(encoding="utf-8-sig") if course else ""
    files = [course] if course else []
    files += _find_files(path, text + course_text)
    return Lesson(path, files, _find_modules(path, text))


def _find_modules(path: Path, text: str) -> frozenset[str]:
    """Return the top-level modules that code cells import, without those in cells of magics."""
    try:
        cells = json.loads(text)["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError):
        raise InvalidOptionError(
            _("{path} is not a notebook").format(path=path), _("Open and save it with Jupyter.")
        ) from None
    return frozenset(
        name
        for source in code
        if not source.startswith("%%cfai")
        for name in IMPORT_PATTERN.findall(source)
    )


def _find_files(path: Path, text: str) -> Iterator[Path]:
    """Yield the recording, and the files next to the notebook whose names are in the text."""
    for file in sorted(path.parent.iterdir()):
        is_recording = file == path.with_suffix(CASSETTE_SUFFIX)
        is_named = file.name in text and file.name not in (path.name, COURSE_FILE_NAME)
        if file.is_file() and (is_recording or (is_named and file.suffix != ".ipynb")):
            yield file


def copy_lessons(lessons: Iterable[Lesson], folder: Path) -> None:
    """Copy each lesson to its own subfolder, in which its recording is the only one."""
    for lesson in lessons:
        target = folder / lesson.path.stem
        target.mkdir(parents=True)
        for file in (lesson.path, *lesson.files):
            shutil.copyfile(file, target / file.name)
