"""Define the native tasks, keyed by the names used with --task."""

from collections.abc import Mapping

from .media import DESCRIBE_TASK, IMAGE_TASK, SPEECH_TASK, TRANSCRIBE_TASK
from .spec import TaskSpec
from .text import CLASSIFY_TASK, EMBED_TASK, MARKDOWN_TASK, RERANK_TASK, TRANSLATE_TASK

__all__ = ["TASKS", "TaskSpec"]

TASKS: Mapping[str, TaskSpec] = {
    task.name: task
    for task in (
        *(IMAGE_TASK, SPEECH_TASK, TRANSCRIBE_TASK, TRANSLATE_TASK, EMBED_TASK),
        *(CLASSIFY_TASK, RERANK_TASK, DESCRIBE_TASK, MARKDOWN_TASK),
    )
}
