"""Compare the cost of one `%%cfai` cell with bare IPython, raw httpx and the openai SDK.

Usage: python benchmarks/first_cell.py [--rounds N] [--venvs FOLDER]

Each figure is the median of several processes, which the operating system measures from start to
exit. CPU time is user plus system time. Each process starts IPython and runs two cells: the first
loads what is needed, and the second asks a question. All processes ask the stand-in for the same
streamed answer. They take turns, so a busy machine slows all of them. The first run of each is not
counted because it writes the bytecode and our ledger.

The processes run in two virtual environments created for this benchmark. One contains this package
without its development packages, as users install it: httpx imports more if click and rich are
installed. The other contains the openai SDK. `--venvs` keeps both for the next run, which then
installs only this package.

The second table shows what our cells spend CPU time on, measured in a separate process. Measuring
takes time too, so compare its rows only with each other or with those of another run.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.standin import Standin, Switches

ROOT = Path(__file__).parents[1]
BARE, HTTPX, OPENAI, OURS = "bare IPython", "raw httpx", "openai SDK", "%%cfai"
PACKAGE_VENV, OPENAI_VENV = "package", "openai"
QUESTION = "Why do pears ripen from within?"
ANSWER = "Their skin ripens last, so a pear is soft inside before it looks ripe. " * 3
DROPPED_VARIABLES = ("CLOUDFLARE_", "CFAI_", "CF_", "PYTHON", "SSL_CERT_")

PROCESS = """
import json, os
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in json.loads(os.environ["CELLS"]):
    shell.run_cell(cell, store_history=True).raise_error()
"""
ASK_HTTPX = """
headers = {"Authorization": "Bearer " + os.environ["CLOUDFLARE_API_TOKEN"]}
url, body = os.environ["URL"] + "/chat/completions", json.loads(os.environ["BODY"])
parts = []
with httpx.stream("POST", url, json=body, headers=headers, timeout=60) as reply:
    reply.raise_for_status()
    for line in reply.iter_lines():
        if line.startswith("data: {"):
            for choice in json.loads(line[6:]).get("choices") or ():
                parts.append(choice["delta"].get("content") or "")
print("".join(parts))
"""
ASK_OPENAI = """
url, token = os.environ["URL"], os.environ["CLOUDFLARE_API_TOKEN"]
body, parts = json.loads(os.environ["BODY"]), []
known = {name: body.pop(name) for name in ("model", "messages", "stream", "max_tokens")}
with openai.OpenAI(base_url=url, api_key=token, timeout=60) as client:
    for chunk in client.chat.completions.create(**known, extra_body=body):
        for choice in chunk.choices or ():
            parts.append(choice.delta.content or "")
print("".join(parts))
"""

# This code counts what our cells load and compile. Counting starts after IPython has started.
COUNT = """
import builtins, collections, dataclasses, json, os, re, sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before, watched = set(sys.modules), json.loads(os.environ["WATCHED"])
spent, number = collections.Counter(), collections.Counter()

def owner():
    frame = sys._getframe(2)
    while frame.f_globals.get("__name__") in ("re", "dataclasses"):
        frame = frame.f_back
    return "ours" if frame.f_globals.get("__name__", "").startswith("cfai_magics") else "others"

def counted(what, function):
    def count(*arguments, **keywords):
        begun = time.thread_time()
        try:
            return function(*arguments, **keywords)
        finally:
            key = f"{what}, {owner()}"
            spent[key] += time.thread_time() - begun
            number[key] += 1
    return count

original_import, active = builtins.__import__, set()

def timed_import(name, *arguments, **keywords):
    top = name.partition(".")[0]
    if top not in watched or name in sys.modules or top in active:
        return original_import(name, *arguments, **keywords)
    active.add(top)
    begun = time.thread_time()
    try:
        return original_import(name, *arguments, **keywords)
    finally:
        spent[top] += time.thread_time() - begun
        active.discard(top)

dataclasses._process_class = counted("dataclasses", dataclasses._process_class)
re._compiler.compile = counted("regular expressions", re._compiler.compile)
builtins.__import__ = timed_import
begun = time.process_time()
for cell in json.loads(os.environ["CELLS"]):
    shell.run_cell(cell, store_history=True).raise_error()
whole = time.process_time() - begun
for name in watched:
    number[name] = sum(module.partition(".")[0] == name for module in sys.modules)
print(json.dumps({
    "whole": whole,
    "spent": spent,
    "number": number,
    "before": [name for name in watched if name in before],
    "our_modules": sum(name.partition(".")[0] == "cfai_magics" for name in sys.modules),
    "modules": len(sys.modules),
    "modules_before": len(before),
    "until_exit": time.process_time(),
}))
"""
COUNTED = ("dataclasses", "regular expressions")
WATCHED = ("filelock", "tenacity", "platformdirs")


class Way(NamedTuple):
    """The cells that a process runs, and the name of its virtual environment."""

    venv: str
    cells: Sequence[str]


class Cost(NamedTuple):
    """The CPU time and wall time of a process, in milliseconds."""

    cpu: float
    wall: float


WAYS: Mapping[str, Way] = {
    BARE: Way(PACKAGE_VENV, ("pass", "pass")),
    HTTPX: Way(PACKAGE_VENV, ("import json, os, httpx", ASK_HTTPX)),
    OPENAI: Way(OPENAI_VENV, ("import json, os, openai", ASK_OPENAI)),
    OURS: Way(PACKAGE_VENV, ("%load_ext cfai_magics", f"%%cfai\n{QUESTION}")),
}


def build_environ(**variables: str) -> dict[str, str]:
    """Return the environment with `variables` added and interfering variables removed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(DROPPED_VARIABLES)}
    return {**kept, **variables}


def install(venv: Path, *words: str) -> None:
    """Run `pip install` in a virtual environment. Create the environment if it is missing."""
    is_new = not venv.exists()
    if is_new:
        subprocess.run([sys.executable, "-m", "venv", str(venv)], env=build_environ(), check=True)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--quiet", "install", *words]
    # The cells do not need the JupyterLab extension, and building it requires Node.js.
    environ = build_environ(CFAI_NO_LABEXTENSION="1")
    done = subprocess.run(pip, env=environ, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        if is_new:
            shutil.rmtree(venv)
        raise OSError(done.stderr)


def prepare_venvs(folder: Path) -> set[str]:
    """Create or update the virtual environments, and return the names of those available."""
    package, openai = folder / PACKAGE_VENV, folder / OPENAI_VENV
    again = ["--force-reinstall", "--no-deps"] if package.exists() else []
    try:
        install(package, *again, ".")
    except OSError as error:
        sys.exit(f"This package cannot be installed:\n{error}")
    if openai.exists():
        return {PACKAGE_VENV, OPENAI_VENV}
    try:
        install(openai, "openai", "ipython")
    except OSError as error:
        reason = str(error).strip().splitlines() or ["pip gave no reason"]
        print(f"Without the openai SDK, which cannot be installed: {reason[-1]}")
        return {PACKAGE_VENV}
    return {PACKAGE_VENV, OPENAI_VENV}


class Runner:
    """A runner for the processes, which share a separate folder and one stand-in."""

    def __init__(self, venvs: Path, home: Path, cloudflare: Standin) -> None:
        self.venvs, self.home, self.cloudflare = venvs, home, cloudflare
        self.environ = build_environ(
            **cloudflare.environ(),
            CFAI_HOME=str(home / "cfai"),
            IPYTHONDIR=str(home / "ipython"),
            URL=f"{cloudflare.base_url}/accounts/{cloudflare.account_id}/ai/v1",
            WATCHED=json.dumps(WATCHED),
        )

    def record_our_request(self) -> None:
        """Run our cells once and store the request body, which the other processes will send."""
        self.run(OURS)
        self.environ["BODY"] = json.dumps(self.cloudflare.requests[-1].json)

    def run(self, name: str, code: str = PROCESS) -> tuple[Cost, str]:
        """Run a process until it exits, and return its cost and output."""
        venv, cells = WAYS[name]
        command = [str(self.venvs / venv / "bin" / "python"), "-c", code]
        environ = {**self.environ, "CELLS": json.dumps(cells)}
        self.cloudflare.clear()
        with tempfile.TemporaryFile() as output:
            begun = time.perf_counter()
            process = subprocess.Popen(
                command, env=environ, cwd=self.home, stdout=output, stderr=subprocess.STDOUT
            )
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - begun
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            said = output.read().decode()
        if process.returncode or (ANSWER.strip() in said) != (name != BARE):
            sys.exit(f"{name} failed:\n{said}")
        if len(self.cloudflare.requests) != (name != BARE):
            sys.exit(f"{name} sent {len(self.cloudflare.requests)} requests")
        return Cost((usage.ru_utime + usage.ru_stime) * 1000, wall * 1000), said


def print_costs(costs: Mapping[str, Cost]) -> None:
    """Print the table with the cost of each process."""
    bare, httpx = costs[BARE], costs[HTTPX]
    print(
        f"{'process':<14} {'ms CPU':>8} {'ms wall':>8}"
        f" {'beyond bare: CPU':>17} {'wall':>7} {'beside raw httpx: CPU':>22} {'wall':>6}"
    )
    for name, cost in costs.items():
        line = f"{name:<14} {cost.cpu:>8.0f} {cost.wall:>8.0f}"
        if name != BARE:
            cpu, wall = cost.cpu - bare.cpu, cost.wall - bare.wall
            ratios = cpu / (httpx.cpu - bare.cpu), wall / (httpx.wall - bare.wall)
            line += f" {cpu:>17.0f} {wall:>7.0f} {ratios[0]:>21.2f}x {ratios[1]:>5.2f}x"
        print(line)


def print_breakdown(found: Mapping[str, Any]) -> None:
    """Print the table that shows what our two cells spent CPU time on."""
    spent, number = found["spent"], found["number"]
    print(f"\n{'within our two cells':<32} {'ms CPU':>8} {'number':>7}")
    print(f"{'all that they do':<32} {found['whole'] * 1000:>8.1f}")
    print(f"{'leaving Python after them':<32} {found['exit'] * 1000:>8.1f}")
    for what in COUNTED:
        for owner in ("ours", "others"):
            key = f"{what}, {owner}"
            print(f"{key:<32} {spent.get(key, 0) * 1000:>8.1f} {number.get(key, 0):>7}")
    for name in WATCHED:
        if name in found["before"]:
            print(f"{f'import {name}':<32} imported by IPython already")
        elif number[name]:
            print(f"{f'import {name}':<32} {spent[name] * 1000:>8.1f} {number[name]:>7}")
        else:
            print(f"{f'import {name}':<32} not imported")
    print(f"{'our modules':<32} {'':>8} {found['our_modules']:>7}")
    print(f"{'all modules':<32} {'':>8} {found['modules']:>7}")
    print(f"{'those of bare IPython':<32} {'':>8} {found['modules_before']:>7}")


def main() -> None:
    """Run the benchmark and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--venvs", type=Path, metavar="FOLDER", help="keep the environments here")
    options = parser.parse_args()
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        venvs = options.venvs.absolute() if options.venvs else temporary
        available = prepare_venvs(venvs)
        home = temporary / "home"
        home.mkdir()
        switches = Switches(answer=ANSWER, daily_neurons=1e9)
        cloudflare = stack.enter_context(Standin(switches=switches))
        runner = Runner(venvs, home, cloudflare)
        runner.record_our_request()
        runs: dict[str, list[Cost]] = {
            name: [] for name, way in WAYS.items() if way.venv in available
        }
        for name in runs:
            runner.run(name)
        for _ in range(options.rounds):
            for name, costs in runs.items():
                costs.append(runner.run(name)[0])
        whole, said = runner.run(OURS, COUNT)
    print(f"Python {sys.version.split()[0]}, median of {options.rounds}")
    print_costs(
        {
            name: Cost(median(c.cpu for c in costs), median(c.wall for c in costs))
            for name, costs in runs.items()
        }
    )
    found = json.loads(said.splitlines()[-1])
    print_breakdown({**found, "exit": whole.cpu / 1000 - found["until_exit"]})


if __name__ == "__main__":
    main()
