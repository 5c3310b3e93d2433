"""The table of native tasks, by the names that --task takes."""

from collections.abc import Mapping

from .media import DESCRIBE, IMAGE, SPEECH, TRANSCRIBE
from .task import Task
from .texts import CLASSIFY, EMBED, MARKDOWN, RERANK, TRANSLATE

__all__ = ["TASKS", "Task"]

TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        *(IMAGE, SPEECH, TRANSCRIBE, TRANSLATE, EMBED),
        *(CLASSIFY, RERANK, DESCRIBE, MARKDOWN),
    )
}
