"""Native tasks for speech: transcription and text-to-speech."""

import base64

from . import sounds
from .job import Done, Job
from .payload import binary


def transcribe(job: Job) -> Done:
    """Return the transcript: the text of the switches."""
    sound = sound_of(job)
    seconds = sounds.seconds(sound)
    transcript = job.say("", "Hello from the stand-in.")
    words = [
        {"word": word, "start": at, "end": at + 0.4} for at, word in enumerate(transcript.split())
    ]
    work = {"audio minute": seconds / 60, "audio minute input": seconds / 60}
    if "/nova-3" in job.model.name:
        alternative = {"transcript": transcript, "confidence": 0.99, "words": words}
        return Done({"results": {"channels": [{"alternatives": [alternative]}]}}, work=work)
    vtt = f"WEBVTT\n\n00.000 --> {seconds:06.3f}\n{transcript}"
    result = {"text": transcript, "word_count": len(words), "vtt": vtt}
    if job.model.name.endswith("-turbo"):
        segment = {"start": 0, "end": seconds, "text": transcript, "words": words}
        info = {"language": job.payload.text("language", "en"), "duration": seconds}
        return Done({"transcription_info": info, **result, "segments": [segment]}, work=work)
    return Done({**result, "words": words}, work=work)


def sound_of(job: Job) -> bytes:
    """Return the audio of a request: binary, base64 or a list of bytes."""
    if job.payload.data:
        return job.payload.data
    job.payload.need("audio")
    return binary(job.payload.fields["audio"])


def speak(job: Job) -> Done:
    """Return silence with the estimated duration of the text."""
    if job.model.name.endswith("/melotts"):
        job.payload.need("prompt")
        seconds = sounds.spoken_seconds(job.payload.text("prompt"))
        audio = base64.b64encode(sounds.mp3(seconds)).decode()
        return Done({"audio": audio}, work={"audio minute": seconds / 60})
    job.payload.need("text")
    text = job.payload.text("text")
    work = {"1k characters input": len(text) / 1000}
    seconds = sounds.spoken_seconds(text)
    if job.payload.text("container") == "wav":
        return Done(data=sounds.wav(seconds), content_type="audio/wav", work=work)
    return Done(data=sounds.mp3(seconds), content_type="audio/mpeg", work=work)
