"""Native tasks on text: embeddings, scores, labels, translations, summaries, decisions."""

import math

from . import tokens, vectors
from .catalogue import Model
from .errors import refusal
from .job import Done, Job

MAX_TEXTS = 100
BAD_WORDS = frozenset({"awful", "bad", "boring", "hate", "not", "poor", "terrible", "worst"})


def embeddings(job: Job) -> Done:
    """Return the vectors of one or more texts, or bge-m3's scores of contexts."""
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
    """Return the vectors. Raises Refusal for too many or too long texts."""
    if not texts or len(texts) > MAX_TEXTS:
        raise refusal(5006, f"Bad input: Error: '/text' must hold 1 to {MAX_TEXTS} items")
    longest = max(map(tokens.count, texts))
    if model.max_input and longest > model.max_input:
        raise refusal(3030, f"Sequence too long: {longest} > {model.max_input}")
    return [vectors.vector(model.name, text, model.dimensions) for text in texts]


def classify(job: Job) -> Done:
    """Return the sentiment of a text, or the scores of a reranker."""
    if "rerank" in job.model.name:
        return rerank(job)
    job.payload.need("text")
    text = job.payload.text("text")
    negative = bool(BAD_WORDS & set(text.lower().replace(".", " ").split()))
    score = 0.98 if negative else 0.02
    labels = [{"label": "NEGATIVE", "score": score}, {"label": "POSITIVE", "score": 1 - score}]
    return Done(labels, prompt_tokens=tokens.count(text))


def rerank(job: Job) -> Done:
    """Return the indexes and scores of the contexts, best first."""
    job.payload.need("query", "contexts")
    query = job.payload.text("query")
    texts = [str(one["text"]) for one in job.payload.fields["contexts"]]
    near = [vectors.similarity(job.model.name, query, text) for text in texts]
    scored = [{"id": at, "score": 1 / (1 + math.exp(-6 * one))} for at, one in enumerate(near)]
    best = sorted(scored, key=lambda one: -one["score"])
    result = {"response": best[: job.payload.number("top_k", len(best))]}
    return Done(result, prompt_tokens=tokens.count(query + "".join(texts)), usage=True)


def translate(job: Job) -> Done:
    """Return the text, prefixed with the target language."""
    job.payload.need("text", "target_lang")
    text = job.payload.text("text")
    output = job.say(text, f"[{job.payload.text('target_lang')}] {text}")
    return text_done({"translated_text": output}, text, output)


def summarize(job: Job) -> Done:
    """Return the first words of the text."""
    job.payload.need("input_text")
    text = job.payload.text("input_text")
    output = job.say(text, " ".join(text.split()[:12]))
    return text_done({"summary": output}, text, output)


def text_done(result: dict[str, str], given: str, output: str) -> Done:
    """Return a result that is billed by input and output tokens."""
    return Done(result, prompt_tokens=tokens.count(given), completion_tokens=tokens.count(output))


def decide(job: Job) -> Done:
    """Return an answer to each question about `state`."""
    job.payload.need("model", "state", "questions")
    questions = job.payload.fields["questions"]
    given = job.payload.text("state") + str(questions)
    answers = [{"question": one, "answer": job.say(str(one), "yes")} for one in questions]
    result = {"model": job.model.name, "answers": answers}
    return Done(result, prompt_tokens=tokens.count(given), usage=True)
