"""Run the steps of one front end in its own world and return their record."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from .frontends import (
    FrontEnd,
    KernelFrontEnd,
    PythonFrontEnd,
    ShellFrontEnd,
    TerminalFrontEnd,
)
from .record import Cleaner, files, kernels_in, requests, tables
from .steps import kernel, python, shell, terminal
from .world import HERE, Step, World, new_world

GOLDEN = HERE / "golden"
SESSIONS = {
    "kernel": (KernelFrontEnd, kernel.PARTS),
    "terminal": (TerminalFrontEnd, terminal.PARTS),
    "shell": (ShellFrontEnd, shell.PARTS),
    "python": (PythonFrontEnd, python.PARTS),
}


def record(name: str) -> str:
    """Run the session of a front end; return its record as text."""
    front_end_of, parts = SESSIONS[name]
    with new_world() as world:
        clean = Cleaner(world)
        initial = {path.name for path in world.work.iterdir()}
        lines = []
        with front_end_of(world, clean) as front_end:
            for number, (title, steps) in enumerate(parts.items()):
                world.begin_part(number)
                lines += ["", f"##### {title}"]
                for step in steps:
                    lines += run(step, world, front_end, clean)
        clean.learn(kernels_in(world.home))
        lines += tables(world.home, clean, world.flowed)
        lines += ["", "=== files in CFAI_HOME", *files(world.home, clean)]
        lines += [
            "",
            "=== files in the work folder",
            *files(world.work, clean, leave_out=initial),
        ]
        return clean("\n".join(lines)).strip() + "\n"


def records(names: Iterable[str]) -> dict[str, str]:
    """Run several sessions, two at once; return their records by name."""
    with ThreadPoolExecutor(2) as pool:
        # The longest session starts first: a shell starts one process per step.
        ordered = sorted(names, key=lambda name: name != "shell")
        return dict(zip(ordered, pool.map(record, ordered), strict=True))


def run(step: Step, world: World, front_end: FrontEnd, clean: Cleaner) -> list[str]:
    """Run one step and return its part of the record."""
    if step.code == "!hold":  # the clock does not move from here on
        world.clock_is_stopped = True
        return []
    world.begin(step)
    clean.learn(kernels_in(world.home))
    clean.begin(step)
    try:
        shown = front_end.run(step)
    except Exception as error:
        error.add_note(f"in the step {step.code}")
        raise
    first, *more = step.code.split("\n")
    code = [f"=== {first}".rstrip(), *(f"    {line}".rstrip() for line in more)]
    clean.begin(Step(""))
    sent = requests(world, clean, any_order=step.parallel)
    return ["", *code, *shown, *sent]


def count(name: str) -> int:
    """Return how many steps a session has."""
    steps = [step for part in SESSIONS[name][1].values() for step in part]
    return sum(step.code != "!hold" for step in steps)
