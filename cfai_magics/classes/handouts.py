"""Render the page of cards with which students log in."""

from collections.abc import Mapping
from html import escape

from ..i18n import _, get_language
from ..secret import Secret

STYLE = """
body { font: 12pt/1.4 system-ui, sans-serif; margin: 1.5em; color: #000; background: #fff }
section { border: 1px dashed #777; padding: 1em 1.5em; margin: 0 0 1em; break-inside: avoid }
h2 { margin: 0 0 .3em; font-size: 1.2em }
code { font: 10.5pt ui-monospace, monospace; overflow-wrap: anywhere }
ol { margin: .5em 0 0; padding-left: 1.5em }
@page { margin: 1.5cm }
"""


def render_handouts(class_name: str, url: str, keys: Mapping[str, Secret]) -> Secret:
    """Return an HTML page with one card for each student: name, address, key and three steps."""
    title = _("Keys of the class {name}").format(name=class_name)
    language = (get_language() or "en").replace("_", "-")
    head = (
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )
    return Secret.from_reader(
        lambda: (
            head
            + "".join(_render_card(url, class_name, name, key) for name, key in keys.items())
            + "</body>\n</html>\n"
        )
    )


def _render_card(url: str, class_name: str, name: str, key: Secret) -> str:
    steps = (
        "%pip install cfai-magics",
        "%load_ext cfai_magics",
        f"%cfai login --class {url}",
    )
    items = "".join(f"<li><code>{escape(step)}</code></li>" for step in steps)
    class_label, key_label = escape(_("Class")), escape(_("Key"))
    intro = _("Type these lines in a notebook. The last one asks for your key.")
    warning = _("The key is only for you. Ask your teacher for a new one if others know it.")
    return (
        f'<section>\n<h2 dir="auto">{escape(name)}</h2>\n'
        f"<div>{class_label}: {escape(class_name)} · <code>{escape(url)}</code></div>\n"
        f"<div>{key_label}: <code>{escape(key.reveal())}</code></div>\n"
        f"<p>{escape(intro)}</p>\n<ol>{items}</ol>\n"
        f"<p>{escape(warning)}</p>\n</section>\n"
    )
