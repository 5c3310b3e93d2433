"""Runs the steps of the Python interface: a line of JSON with code in, one with what came out."""

import ast
import contextlib
import io
import json
import os
import sys
from typing import Any

import cfai_magics


def run(code: str, typed: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run code; return what it wrote, what it ended with, and its error."""
    out, err = io.StringIO(), io.StringIO()
    told: dict[str, Any] = {}
    sys.stdin = io.StringIO(typed)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            told["result"] = shown(evaluated(code, names))
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is what is recorded
            told["error"] = f"{type(error).__name__}: {error}"
    return {**told, "stdout": out.getvalue(), "stderr": err.getvalue()}


def evaluated(code: str, names: dict[str, Any]) -> Any:
    """Run code and return its last expression's value; None if it ends with a statement."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<step>", "exec"), names)
    if last is None:
        return None
    value = eval(compile(ast.Expression(last.value), "<step>", "eval"), names)  # type: ignore[attr-defined]
    names["_"] = value
    return value


def shown(value: Any) -> dict[str, Any] | None:
    """Return what a notebook shows of a value, by MIME type."""
    if value is None:
        return None
    if hasattr(value, "_repr_mimebundle_"):
        bundle = value._repr_mimebundle_()
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        if data:
            return {"data": dict(data), "metadata": dict(metadata)}
    html = {"text/html": value._repr_html_()} if hasattr(value, "_repr_html_") else {}
    return {"data": {**html, "text/plain": repr(value)}, "metadata": {}}


def main() -> None:
    """Run steps until no more come."""
    names: dict[str, Any] = {"cfai": cfai_magics}
    steps, told = sys.stdin, os.fdopen(os.dup(1), "w")
    for line in steps:
        step = json.loads(line)
        told.write(json.dumps(run(step["code"], step["typed"], names)) + "\n")
        told.flush()


if __name__ == "__main__":
    main()
