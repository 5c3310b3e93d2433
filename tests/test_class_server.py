"""The class server has the bundled prices, and its lock file names no host."""

import json
from pathlib import Path

from scripts.class_server_prices import PATH, format_price_list

CLASS_SERVER = Path(__file__).parents[1] / "class-server"


def test_the_price_list_of_the_class_server_is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == format_price_list()


def test_the_lock_file_of_the_class_server_names_no_registry() -> None:
    packages = json.loads((CLASS_SERVER / "package-lock.json").read_text())["packages"]
    assert packages
    assert not [name for name, package in packages.items() if "resolved" in package]
