"""Owns loading into IPython, and leaving without a trace."""

from IPython.core.interactiveshell import InteractiveShell

from ..jupyterlab.bridge import Bridge
from ..settings import home, load_settings
from .completion import Completion
from .magics import CfaiMagics

NAME = CfaiMagics.__name__
KINDS = ("line", "cell")
CELL_BEGINS = "pre_run_cell"  # pre_execute comes with comm messages too, while a cell runs


def load(shell: InteractiveShell) -> None:
    """Register `%cfai`, `%%cfai` and `%config Cfai`; loading twice is loading once."""
    if NAME in shell.magics_manager.registry:
        return
    folder = home()
    settings = load_settings(folder, shell.config)
    magics = CfaiMagics(shell, settings, folder)
    magics.displaced = {kind: shell.magics_manager.magics[kind].get("cfai") for kind in KINDS}
    shell.register_magics(magics)
    shell.configurables.append(settings)
    magics.workspace.begin()
    shell.events.register(CELL_BEGINS, magics.begin_cell)
    magics.bridge = Bridge(lambda: magics.session)
    if hasattr(shell, "kernel"):
        magics.bridge.open()
    completion = Completion(lambda: magics.session, magics.workspace.names)
    shell.Completer.custom_matchers.append(completion.match)


def unload(shell: InteractiveShell) -> None:
    """Take everything back that load put into the shell."""
    magics = shell.magics_manager.registry.pop(NAME, None)
    if magics is None:
        return
    magics.workspace.end()
    shell.events.unregister(CELL_BEGINS, magics.begin_cell)
    if magics.bridge is not None:
        magics.bridge.close()
    magics.close()
    for kind, earlier in magics.displaced.items():
        del shell.magics_manager.magics[kind]["cfai"]
        if earlier is not None:
            shell.magics_manager.magics[kind]["cfai"] = earlier
    for ours in (magics, magics.settings):
        shell.configurables.remove(ours)
    matchers = shell.Completer.custom_matchers
    matchers[:] = [m for m in matchers if not isinstance(getattr(m, "__self__", None), Completion)]
