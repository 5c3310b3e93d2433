"""Build a JupyterLite site from lessons."""

import json
import shutil
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import SetupError
from ..i18n import _
from ..replay.record_mode import CASSETTE_SUFFIX
from .lessons import Lesson, copy_lessons
from .own_wheel import DISTRIBUTION, is_complete, run_module, write_own_wheel
from .packages import LOCK_NAME, PackageCollector

SITE_MARK = "jupyter-lite.json"  # each site has this file
PACKAGES_DIR = "static/packages"  # the lock file and the wheels
APPS = ("lab", "notebooks", "tree")
KERNEL_PLUGIN = "@jupyterlite/pyodide-kernel-extension:kernel"
KERNEL_EXTENSION = "@jupyterlite/pyodide-kernel-extension"
WIDGETS_EXTENSION = "@jupyter-widgets/jupyterlab-manager"
# The packages that the kernel installs when it starts, if Pyodide has not loaded them.
KERNEL_PACKAGES = ("micropip", "piplite", "pyodide-kernel", "ipykernel", "comm", "jedi", "ipython")
INSTALL_COMMAND = f'pip install "{DISTRIBUTION}[lite]"'
ANY_JSON_NAME, JSON_NAME = r"/\.(ipynb|[^/]*json[^/]*)$/", r"/\.(ipynb|[^/]*json)$/"
PYODIDE_FILES = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")


def check_jupyterlite() -> None:
    """Raise SetupError if the packages of the extra `lite` are not installed."""
    if not all(map(find_spec, ("jupyterlite_core", "jupyterlite_pyodide_kernel"))):
        raise SetupError(
            _("JupyterLite is not installed"),
            _("Run {command}.").format(command=INSTALL_COMMAND),
        )


def build_site(
    lessons: Sequence[Lesson],
    output: Path,
    environment: Mapping[str, str],
    pyodide: Path | None = None,
    report: Callable[[str], None] = lambda _step: None,
) -> None:
    """Build a site in the folder `output`, and replace an earlier site there.

    Args:
        lessons: The lessons.
        output: The folder of the site.
        environment: Environment variables of the site's kernels.
        pyodide: A folder with Pyodide, which is copied into the site. If it is None, the site's
            pages load Pyodide from its CDN.
        report: Called with a line of text before each step.

    Raises:
        SetupError: A package is missing or can't be downloaded, or a folder can't be written.
    """
    _check_output(output)
    if pyodide is not None:
        _check_pyodide(pyodide)
    with TemporaryDirectory(prefix="cfai-lite-") as temporary:
        folder = Path(temporary)
        report(_("Collecting the Python packages …"))
        (folder / "own").mkdir()
        own_wheel = write_own_wheel(folder / "own")
        if not is_complete(own_wheel):
            raise SetupError(
                _("The JupyterLab extension of {package} is not installed").format(
                    package=DISTRIBUTION
                ),
                _("Install {package} again, without CFAI_NO_LABEXTENSION.").format(
                    package=DISTRIBUTION
                ),
            )
        packages = folder / "packages"
        names = _collect_packages(lessons, own_wheel, packages, pyodide)
        report(_("Building the site …"))
        kernel_settings = _kernel_settings(names, environment, pyodide)
        _run_jupyterlite(folder, lessons, own_wheel, kernel_settings, pyodide)
        shutil.copytree(packages, folder / "site" / PACKAGES_DIR)
        _serve_recordings_as_text(folder / "site")
        _replace_folder(folder / "site", output)


def _check_output(output: Path) -> None:
    if not output.exists() or (output / SITE_MARK).is_file():
        return
    if not output.is_dir() or any(output.iterdir()):
        raise SetupError(
            _("{folder} exists and is not a JupyterLite site").format(folder=output),
            _("Choose an empty or new folder for --output."),
        )


def _check_pyodide(folder: Path) -> None:
    from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION

    missing = [name for name in (*PYODIDE_FILES, LOCK_NAME) if not (folder / name).is_file()]
    if missing:
        raise SetupError(
            _("{folder} does not contain Pyodide: {names} is missing").format(
                folder=folder, names=", ".join(missing)
            ),
            _("Unpack Pyodide {version} there.").format(version=PYODIDE_VERSION),
        )
    found = json.loads((folder / "package.json").read_text(encoding="utf-8")).get("version")
    if found != PYODIDE_VERSION:
        raise SetupError(
            _("{folder} contains Pyodide {found}, but the kernel needs {version}").format(
                folder=folder, found=found, version=PYODIDE_VERSION
            ),
            _("Unpack Pyodide {version} there.").format(version=PYODIDE_VERSION),
        )


def _collect_packages(
    lessons: Sequence[Lesson], own_wheel: Path, folder: Path, pyodide: Path | None
) -> list[str]:
    """Write the lock file and the wheels, and return the packages to load when Pyodide starts."""
    from jupyterlite_pyodide_kernel.constants import PYODIDE_CDN_URL

    folder.mkdir()
    base_url = f"{PYODIDE_CDN_URL}/"
    lock = _read_lock(pyodide, base_url)
    wheels = sorted((_extension_folder(KERNEL_EXTENSION) / "static" / "pypi").glob("*.whl"))
    collector = PackageCollector(lock, folder, [*wheels, own_wheel], pyodide, base_url)
    collector.add((*KERNEL_PACKAGES, DISTRIBUTION))
    names = sorted(collector.packages)
    modules = {module for lesson in lessons for module in lesson.modules}
    collector.add(collector.find_modules(modules))
    collector.write()
    return names


def _read_lock(pyodide: Path | None, base_url: str) -> Any:
    if pyodide is not None:
        return json.loads((pyodide / LOCK_NAME).read_text(encoding="utf-8"))
    import httpx

    try:
        response = httpx.get(base_url + LOCK_NAME, follow_redirects=True).raise_for_status()
        return response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise SetupError(
            _("Pyodide's lock file can't be downloaded from {url}: {reason}").format(
                url=base_url, reason=error
            ),
            _("Check the network, or use a copy of Pyodide: --pyodide FOLDER"),
        ) from None


def _extension_folder(name: str) -> Path:
    return Path(sysconfig.get_path("data"), "share", "jupyter", "labextensions", name)


def _kernel_settings(
    names: Sequence[str], environment: Mapping[str, str], pyodide: Path | None
) -> Mapping[str, Any]:
    from jupyterlite_pyodide_kernel.constants import PYODIDE_CDN_URL

    # JupyterLite itself sets the address of a copy in the site. The page checks the address.
    address = {} if pyodide else {"pyodideUrl": f"{PYODIDE_CDN_URL}/{PYODIDE_FILES[0]}"}
    return {
        **address,
        "loadPyodideOptions": {
            "env": environment,
            "lockFileURL": f"./{PACKAGES_DIR}/{LOCK_NAME}",
            "packages": names,
        },
    }


def _run_jupyterlite(
    folder: Path,
    lessons: Sequence[Lesson],
    own_wheel: Path,
    kernel_settings: Mapping[str, Any],
    pyodide: Path | None,
) -> None:
    source = folder / "source"
    copy_lessons(lessons, source / "files")
    settings = {"litePluginSettings": {KERNEL_PLUGIN: kernel_settings}}
    content = {"jupyter-lite-schema-version": 0, "jupyter-config-data": settings}
    (source / SITE_MARK).write_text(json.dumps(content), encoding="utf-8")
    extensions = [
        *(str(_extension_folder(name)) for name in (KERNEL_EXTENSION, WIDGETS_EXTENSION)),
        str(own_wheel),
    ]
    # Other extensions of this environment are left out, so sites do not depend on it.
    build_config = {
        "apps": APPS,
        "contents": [str(source / "files")],
        "federated_extensions": extensions,
        "ignore_sys_prefix": ["federated_extensions"],
        "no_sourcemaps": True,
        "no_unused_shared_packages": True,
        "output_dir": str(folder / "site"),
    }
    config = source / "jupyter_lite_config.json"
    config.write_text(json.dumps({"LiteBuildConfig": build_config}), encoding="utf-8")
    if pyodide is not None:
        target = source / "static" / "pyodide"
        target.mkdir(parents=True)
        for name in (*PYODIDE_FILES, LOCK_NAME):
            shutil.copyfile(pyodide / name, target / name)
    failure = run_module("jupyterlite_core", "build", folder=source)
    if failure is not None:
        raise SetupError(
            _("JupyterLite could not build the site:\n{output}").format(output=failure),
            _("Run {command} to get matching versions.").format(command=INSTALL_COMMAND),
        )


def _serve_recordings_as_text(site: Path) -> None:
    """Let JupyterLite read recordings, whose lines are JSON.

    JupyterLite 0.8.6 parses each file of a site whose name or media type contains "json" as one
    JSON document, so that a recording can't be opened.
    """
    for script in (site / "build").glob("*.js"):
        text = script.read_text(encoding="utf-8")
        if ANY_JSON_NAME in text:
            script.write_text(text.replace(ANY_JSON_NAME, JSON_NAME), encoding="utf-8")
    for path in (site / "api" / "contents").rglob("all.json"):
        listing = json.loads(path.read_text(encoding="utf-8"))
        for file in listing["content"]:
            if file["name"].endswith(CASSETTE_SUFFIX):
                file["mimetype"] = "text/plain"
        path.write_text(json.dumps(listing), encoding="utf-8")


def _replace_folder(built: Path, output: Path) -> None:
    try:
        if output.exists():
            shutil.rmtree(output)
        shutil.move(built, output)
    except OSError as error:
        raise SetupError(
            _("The site can't be written to {folder}: {error}").format(
                folder=output, error=error.strerror
            ),
            _("Choose a folder that you can write to."),
        ) from None
