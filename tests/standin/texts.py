"""Native tasks on text: embeddings, scores, labels, translations, summaries, decisions."""

import math

from . import tokens, vectors
from .catalogue import Model
from .errors import refusal
from .job import Done, Job

MOST_TEXTS = 100
BAD_WORDS = frozenset({"awful", "bad", "boring", "hate", "not", "poor", "terrible", "worst"})


def embeddings(job: Job) -> Done:
    """Return the vectors of a text or of several, or bge-m3's scores of contexts."""
    if "contexts" in job.payload.fields:
        return rerank(job)
    job.payload.need("text")
    given = job.payload.fields["text"]
    texts = [given] if isinstance(given, str) else list(given)
    found = embedded(job.model, texts)
    shape = [len(found), job.model.dimensions]
    result = {"shape": shape, "data": found, "pooling": job.payload.text("pooling", "mean")}
    return Done(result, prompt_tokens=sum(map(tokens.count, texts)), usage=True)


def embedded(model: Model, texts: list[str]) -> list[list[float]]:
    """Return the vectors; Refusal where there are too many texts or one is too long."""
    if not texts or len(texts) > MOST_TEXTS:
        raise refusal(5006, f"Bad input: Error: '/text' must hold 1 to {MOST_TEXTS} items")
    longest = max(map(tokens.count, texts))
    if model.max_input and longest > model.max_input:
        raise refusal(3030, f"Sequence too long: {longest} > {model.max_input}")
    return [vectors.vector(model.name, text, model.dimensions) for text in texts]


def classify(job: Job) -> Done:
    """Return a text's sentiment, or a reranker's scores."""
    if "rerank" in job.model.name:
        return rerank(job)
    job.payload.need("text")
    text = job.payload.text("text")
    negative = bool(BAD_WORDS & set(text.lower().replace(".", " ").split()))
    score = 0.98 if negative else 0.02
    labels = [{"label": "NEGATIVE", "score": score}, {"label": "POSITIVE", "score": 1 - score}]
    return Done(labels, prompt_tokens=tokens.count(text))


def rerank(job: Job) -> Done:
    """Return the contexts' places, best first."""
    job.payload.need("query", "contexts")
    query = job.payload.text("query")
    texts = [str(one["text"]) for one in job.payload.fields["contexts"]]
    near = [vectors.similarity(job.model.name, query, text) for text in texts]
    scored = [{"id": at, "score": 1 / (1 + math.exp(-6 * one))} for at, one in enumerate(near)]
    best = sorted(scored, key=lambda one: -one["score"])
    result = {"response": best[: job.payload.number("top_k", len(best))]}
    return Done(result, prompt_tokens=tokens.count(query + "".join(texts)), usage=True)


def translate(job: Job) -> Done:
    """Return the text, marked with the language it should now be in."""
    job.payload.need("text", "target_lang")
    text = job.payload.text("text")
    said = job.say(text, f"[{job.payload.text('target_lang')}] {text}")
    return text_done({"translated_text": said}, text, said)


def summarize(job: Job) -> Done:
    """Return the text's first words."""
    job.payload.need("input_text")
    text = job.payload.text("input_text")
    said = job.say(text, " ".join(text.split()[:12]))
    return text_done({"summary": said}, text, said)


def text_done(result: dict[str, str], given: str, said: str) -> Done:
    """Return a result billed by the tokens in and out."""
    return Done(result, prompt_tokens=tokens.count(given), completion_tokens=tokens.count(said))


def decide(job: Job) -> Done:
    """Return an answer to each question about a state."""
    job.payload.need("model", "state", "questions")
    asked = job.payload.fields["questions"]
    given = job.payload.text("state") + str(asked)
    answers = [{"question": one, "answer": job.say(str(one), "yes")} for one in asked]
    result = {"model": job.model.name, "answers": answers}
    return Done(result, prompt_tokens=tokens.count(given), usage=True)
