"""Finds a course's file, cfai.toml, and has it read where there is one."""

import os
from pathlib import Path

from .rules import NO_COURSE, Course

FILE_NAME = "cfai.toml"


def find_course(folder: Path) -> Course:
    """Return the course of the nearest cfai.toml, in the folder or above."""
    for place in (folder, *folder.parents):
        path = place / FILE_NAME
        if os.path.lexists(path):  # what can't be read must not be taken for no course at all
            from .file import read_course

            return read_course(path)
    return NO_COURSE
