"""Build a site in which lessons run in the browser, or serve a site on this machine."""

from argparse import Namespace
from pathlib import Path

from .. import runtime
from ..chat.frontend import Frontend
from ..chat.options import Option
from ..errors import InvalidOptionError
from ..i18n import _, mark
from ..paths import parse_user_path
from ..replay.record_mode import MODE_VARIABLE
from ..secret import get_environment

OPTIONS = (
    Option("what", choices=("build", "serve"), help=mark("build a site, or serve it locally")),
    Option(
        "paths",
        nargs="+",
        metavar="PATH",
        help=mark("build: the notebooks; serve: the folder of the site"),
    ),
    Option("--output", default="", metavar="DIR", help=mark("build: the folder for the site")),
    Option(
        "--class-server",
        default="",
        metavar="URL",
        help=mark("build: the class server that answers questions without a recording"),
    ),
    Option(
        "--pyodide",
        default="",
        metavar="DIR",
        help=mark("build: copy Pyodide from this folder into the site (default: use its CDN)"),
    ),
    Option("--port", type=int, default=8000, metavar="PORT", help=mark("serve: the port (8000)")),
)


MAX_PORT = 65_535


def run(frontend: Frontend, options: Namespace) -> str:
    """Build a site, or serve it until the user presses Ctrl-C."""
    runtime.check_processes("%cfai lite")
    paths = [parse_user_path(path) for path in options.paths]
    return (
        _build(frontend, options, paths)
        if options.what == "build"
        else _serve(frontend, options, paths)
    )


def _build(frontend: Frontend, options: Namespace, paths: list[Path]) -> str:
    from ..lite.lessons import read_lessons
    from ..lite.site import build_site, check_jupyterlite

    if not options.output:
        raise InvalidOptionError(
            _("--output is missing"),
            _("Example: {example}").format(example="cfai lite build lesson.ipynb --output site"),
        )
    output = parse_user_path(options.output)
    pyodide = parse_user_path(options.pyodide) if options.pyodide else None
    environment = _kernel_environment(options.class_server)
    lessons = read_lessons(paths)
    check_jupyterlite()
    build_site(lessons, output, environment, pyodide, frontend.print)
    return _(
        "The site is in {folder}. To try it, run {command}. To publish it, upload the folder to "
        "a static host."
    ).format(folder=output, command=f"cfai lite serve {options.output}")


def _kernel_environment(class_server: str) -> dict[str, str]:
    """Return the environment variables of the site's kernels.

    Without a class server, only recorded answers are available.
    """
    if not class_server:
        return {MODE_VARIABLE: "only"}
    from ..backends.addresses import check_encryption
    from ..backends.class_server import CLASS_SERVER_VARIABLE, normalize_class_url

    url = normalize_class_url(class_server, "--class-server")
    check_encryption(url, "--class-server", get_environment())
    return {CLASS_SERVER_VARIABLE: url}


def _serve(frontend: Frontend, options: Namespace, paths: list[Path]) -> str:
    from ..lite.server import create_server
    from ..lite.site import SITE_MARK

    folder = paths[0]
    if len(paths) > 1 or not (folder / SITE_MARK).is_file():
        raise InvalidOptionError(
            _("{path} is not a JupyterLite site").format(path=" ".join(options.paths)),
            _("Build one with cfai lite build."),
        )
    if not 0 <= options.port <= MAX_PORT:
        raise InvalidOptionError(
            _("--port must be between 0 and {max_port:,}").format(max_port=MAX_PORT),
            _("Example: --port 8000"),
        )
    with create_server(folder, options.port) as server:
        host, port = server.server_address[:2]
        frontend.print(
            _("Serving the site: {url}\nPress Ctrl-C to stop.").format(
                url=f"http://{host!s}:{port}/lab/index.html"
            )
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return _("The server has stopped.")
    return ""
