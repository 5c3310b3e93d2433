"""Run the steps of the Python interface: read a JSON line with code, write one with the result."""

import ast
import contextlib
import io
import json
import os
import sys
from typing import Any

import cfai_magics


def run(code: str, typed: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run code; return its output, its result and its error."""
    out, err = io.StringIO(), io.StringIO()
    result: dict[str, Any] = {}
    sys.stdin = io.StringIO(typed)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            result["result"] = shown(evaluated(code, names))
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - errors are recorded
            result["error"] = f"{type(error).__name__}: {error}"
    return {**result, "stdout": out.getvalue(), "stderr": err.getvalue()}


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
    """Return the output of a value in a notebook, by MIME type."""
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
    """Run the steps from stdin until its end."""
    names: dict[str, Any] = {"cfai": cfai_magics}
    steps, results = sys.stdin, os.fdopen(os.dup(1), "w")
    for line in steps:
        step = json.loads(line)
        results.write(json.dumps(run(step["code"], step["typed"], names)) + "\n")
        results.flush()


if __name__ == "__main__":
    main()
