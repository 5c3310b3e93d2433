"""Table of native tasks and their functions."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from .job import Done, Job
from .pictures import describe, image, see
from .speech import speak, transcribe
from .texts import classify, decide, embeddings, summarize, translate

TASKS: Mapping[str, Callable[[Job], Done]] = MappingProxyType(
    {
        "Automatic Speech Recognition": transcribe,
        "Decision": decide,
        "Extraction": decide,
        "Image Classification": see,
        "Image-to-Text": describe,
        "Object Detection": see,
        "Summarization": summarize,
        "Text Classification": classify,
        "Text Embeddings": embeddings,
        "Text-to-Image": image,
        "Text-to-Speech": speak,
        "Translation": translate,
    }
)
