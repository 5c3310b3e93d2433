"""A class key in the environment is sent only to an address from the environment."""

import pytest

from cfai_magics.backends.server_keys import check_environment_key
from cfai_magics.errors import InvalidOptionError
from cfai_magics.secret import Secret
from tests.canaries import admin_key, class_key


def test_a_class_key_is_refused_for_an_address_from_a_file() -> None:
    key = class_key()
    with pytest.raises(InvalidOptionError, match="must not be sent to the server") as caught:
        check_environment_key(Secret(key), "the server", is_address_from_environment=False)
    assert "CFAI_CLASS_SERVER" in str(caught.value)
    assert key not in str(caught.value)


def test_an_admin_key_is_refused_for_all_addresses() -> None:
    for is_from_environment in (True, False):
        with pytest.raises(InvalidOptionError, match="is the admin key"):
            check_environment_key(
                Secret(admin_key()), "ai.example", is_address_from_environment=is_from_environment
            )


def test_other_keys_are_accepted() -> None:
    check_environment_key(Secret(class_key()), "ai.example", is_address_from_environment=True)
    for key in ("", "sk-local", "EMPTY"):
        check_environment_key(Secret(key), "the server", is_address_from_environment=False)
