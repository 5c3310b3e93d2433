"""Resolve the Python packages of a site, and add them to Pyodide's lock file.

With a complete lock file, Pyodide downloads all packages at once when it starts, and resolves no
requirements in the browser. Pure Python packages come from pip's index and are stored in the site.
Compiled packages, such as numpy, come from Pyodide.
"""

import json
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from email.parser import BytesHeaderParser
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SetupError
from ..i18n import _
from .own_wheel import run_pip

if TYPE_CHECKING:
    from packaging.requirements import Requirement

LOCK_NAME = "pyodide-lock.json"
PURE_SUFFIX = "-none-any.whl"
LAB_ONLY = frozenset(("jupyterlab-widgets",))  # it has only files for JupyterLab


class PackageCollector:
    """Adds packages and all that they require to a lock file and to a folder of wheels.

    Args:
        lock: The content of Pyodide's lock file.
        folder: The folder of the new lock file and the wheels.
        wheels: Wheels that take precedence over those of the index.
        pyodide: The folder from which compiled packages are copied.
        base_url: The URL of compiled packages if `pyodide` is None.
    """

    def __init__(
        self,
        lock: Mapping[str, Any],
        folder: Path,
        wheels: Sequence[Path],
        pyodide: Path | None,
        base_url: str,
    ) -> None:
        self._lock = lock
        self._folder = folder
        self._pyodide = pyodide
        self._base_url = base_url
        self._wheels = {_wheel_name(wheel): wheel for wheel in wheels}
        self._environment = {
            "extra": "",
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": "wasm32",
            "platform_python_implementation": "CPython",
            "platform_system": "Emscripten",
            "python_full_version": lock["info"]["python"],
            "python_version": ".".join(lock["info"]["python"].split(".")[:2]),
            "sys_platform": "emscripten",
        }
        self.packages: dict[str, dict[str, Any]] = {}

    def find_modules(self, modules: Iterable[str]) -> list[str]:
        """Return the names of the packages of Pyodide that contain these modules."""
        wanted = set(modules)
        packages = self._lock["packages"].items()
        return [name for name, package in packages if wanted.intersection(package["imports"])]

    def add(self, names: Iterable[str]) -> None:
        """Add packages and all packages that they require.

        Raises:
            SetupError: A package can't be downloaded, or is missing in Pyodide's folder.
        """
        from packaging.requirements import Requirement

        pending = [Requirement(name) for name in names]
        while pending := self._select_new(pending):
            compiled = [one for one in pending if self._is_compiled(one.name)]
            pure = [one for one in pending if not self._is_compiled(one.name)]
            self._download(pure)
            required = [self._add_compiled(one.name) for one in compiled]
            required += [self._add_wheel(one.name) for one in pure]
            pending = [requirement for group in required for requirement in group]

    def write(self) -> None:
        """Write the lock file. Other packages of Pyodide keep their URLs at Pyodide."""
        others = {
            name: {**package, "file_name": self._base_url + package["file_name"]}
            for name, package in self._lock["packages"].items()
        }
        content = {**self._lock, "packages": {**others, **self.packages}}
        path = self._folder / LOCK_NAME
        path.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")

    def _select_new(self, requirements: "Iterable[Requirement]") -> "list[Requirement]":
        """Return one requirement for each package that is needed and not added yet."""
        selected = {
            _canonical(one.name): one
            for one in requirements
            if one.marker is None or one.marker.evaluate(self._environment)
        }
        return [one for name, one in selected.items() if name not in {*self.packages, *LAB_ONLY}]

    def _is_compiled(self, name: str) -> bool:
        package = self._lock["packages"].get(_canonical(name))
        return package is not None and not package["file_name"].endswith(PURE_SUFFIX)

    def _download(self, requirements: "Iterable[Requirement]") -> None:
        """Download the wheels of pure packages, in the versions that Pyodide has tested."""
        missing = [one for one in requirements if _canonical(one.name) not in self._wheels]
        if not missing:
            return
        run_pip(
            *("download", "--no-deps", "--only-binary=:all:", "--dest", str(self._folder)),
            *("--platform", "any", "--implementation", "py", "--abi", "none"),
            *("--python-version", self._environment["python_version"]),
            *map(self._pin, missing),
        )
        self._wheels |= {_wheel_name(wheel): wheel for wheel in self._folder.glob("*.whl")}

    def _pin(self, requirement: "Requirement") -> str:
        package = self._lock["packages"].get(_canonical(requirement.name))
        if package is not None and requirement.specifier.contains(package["version"]):
            return f"{requirement.name}=={package['version']}"
        return f"{requirement.name}{requirement.specifier}"

    def _add_wheel(self, name: str) -> "list[Requirement]":
        """Add a wheel to the lock, and return its requirements."""
        from packaging.requirements import Requirement
        from packaging.utils import parse_wheel_filename

        name = _canonical(name)
        wheel = self._wheels[name]
        stored = self._folder / wheel.name
        if not stored.exists():
            shutil.copyfile(wheel, stored)
        required = self._select_needed(map(Requirement, _read_requirements(stored)))
        known = self._lock["packages"].get(name, {})
        _name, version, _build, _tags = parse_wheel_filename(wheel.name)
        self.packages[name] = {
            "depends": sorted(_canonical(one.name) for one in required),
            "file_name": wheel.name,
            "imports": known.get("imports", []),
            "install_dir": "site",
            "name": name,
            "package_type": "package",
            "sha256": sha256(stored.read_bytes()).hexdigest(),
            "unvendored_tests": False,
            "version": str(version),
        }
        return required

    def _select_needed(self, requirements: "Iterable[Requirement]") -> "list[Requirement]":
        return [
            one
            for one in requirements
            if _canonical(one.name) not in LAB_ONLY
            and (one.marker is None or one.marker.evaluate(self._environment))
        ]

    def _add_compiled(self, name: str) -> "list[Requirement]":
        """Add a package of Pyodide to the lock, and return its requirements."""
        from packaging.requirements import Requirement

        package = self._lock["packages"][_canonical(name)]
        file_name = package["file_name"]
        if self._pyodide is None:
            file_name = self._base_url + file_name
        else:
            self._copy_from_pyodide(self._pyodide / file_name, name)
        self.packages[_canonical(name)] = {**package, "file_name": file_name}
        return [Requirement(required) for required in package["depends"]]

    def _copy_from_pyodide(self, wheel: Path, name: str) -> None:
        try:
            shutil.copyfile(wheel, self._folder / wheel.name)
        except FileNotFoundError:
            raise SetupError(
                _("{folder} does not contain the package {name}").format(
                    folder=wheel.parent, name=name
                ),
                _("Use Pyodide's full distribution, or put {file} there.").format(file=wheel.name),
            ) from None


def _canonical(name: str) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)


def _wheel_name(wheel: Path) -> str:
    return _canonical(wheel.name.partition("-")[0])


def _read_requirements(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(
            name for name in archive.namelist() if name.endswith(".dist-info/METADATA")
        )
        headers = BytesHeaderParser().parsebytes(archive.read(metadata))
    return headers.get_all("Requires-Dist", [])
