"""Load and unload the IPython extension."""

import sys

from IPython.core.interactiveshell import InteractiveShell

from .. import runtime
from ..i18n import _
from ..output import write_text
from ..settings import get_home_folder, load_settings
from . import input_transforms
from .completion import CfaiMatcher
from .lab_comm import LabComm
from .magics import CfaiMagics

MAGICS_NAME = CfaiMagics.__name__
MAGIC_KINDS = ("line", "cell")
CELL_START_EVENT = "pre_run_cell"  # comm messages also trigger pre_execute
CELL_END_EVENT = "post_run_cell"


def load(shell: InteractiveShell) -> None:
    """Register `%cfai`, `%%cfai` and `%config Cfai`, unless they are already registered."""
    if MAGICS_NAME in shell.magics_manager.registry:
        return
    home_folder = get_home_folder()
    settings = load_settings(home_folder, shell.config)
    magics = CfaiMagics(shell, settings, home_folder)
    magics.previous_magics = {
        kind: shell.magics_manager.magics[kind].get("cfai") for kind in MAGIC_KINDS
    }
    shell.register_magics(magics)
    shell.configurables.append(settings)
    magics.ipython_state.attach()
    input_transforms.install(shell.input_transformer_manager)
    shell.events.register(CELL_START_EVENT, magics.on_pre_run_cell)
    if runtime.IS_BROWSER:
        shell.events.register(CELL_END_EVENT, save_browser_storage)
    has_kernel = hasattr(shell, "kernel")
    matcher = CfaiMatcher(
        lambda: magics.session, magics.ipython_state.get_user_names, has_badges=has_kernel
    )
    shell.Completer.custom_matchers.append(matcher.match)
    magics.lab_comm = LabComm(lambda: magics.session, matcher)
    if has_kernel:
        magics.lab_comm.open()


def save_browser_storage(_result: object) -> None:
    """Save the state folder in the browser after each cell. Warn once if the browser refuses."""
    from ..browser_storage import save, take_failure

    save()
    reason = take_failure()
    if reason:
        warning = _(
            "This browser does not keep the ledger and the settings ({reason}), so they are lost "
            "when the kernel ends. Common causes are a private window and full storage."
        )
        write_text(sys.stdout, warning.format(reason=reason) + "\n")


def unload(shell: InteractiveShell) -> None:
    """Remove everything that `load` registered, and restore any earlier magics named `cfai`."""
    magics = shell.magics_manager.registry.pop(MAGICS_NAME, None)
    if magics is None:
        return
    magics.ipython_state.detach()
    input_transforms.remove(shell.input_transformer_manager)
    shell.events.unregister(CELL_START_EVENT, magics.on_pre_run_cell)
    if runtime.IS_BROWSER:
        shell.events.unregister(CELL_END_EVENT, save_browser_storage)
    if magics.lab_comm is not None:
        magics.lab_comm.close()
    magics.close()
    for kind, previous_magic in magics.previous_magics.items():
        del shell.magics_manager.magics[kind]["cfai"]
        if previous_magic is not None:
            shell.magics_manager.magics[kind]["cfai"] = previous_magic
    for configurable in (magics, magics.settings):
        shell.configurables.remove(configurable)
    matchers = shell.Completer.custom_matchers
    matchers[:] = [
        m for m in matchers if not isinstance(getattr(m, "__self__", None), CfaiMatcher)
    ]
