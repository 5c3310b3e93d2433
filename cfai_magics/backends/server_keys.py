"""Keep the keys of a class server from being sent to other servers."""

from ..errors import InvalidOptionError
from ..i18n import _
from ..secret import Secret, call_without_traceback
from ..secret_patterns import ADMIN_KEY, CLASS_KEY, find_token


def check_environment_key(key: Secret, server: str, *, is_address_from_environment: bool) -> None:
    """Check that a key from CFAI_API_KEY may be sent to a server.

    A student's key is sent only to an address that the environment sets, too. Otherwise, an
    address that was written to `settings.toml` for another server would receive the key. An admin
    key is never sent.

    Args:
        key: The value of CFAI_API_KEY.
        server: The name of the server for the error message.
        is_address_from_environment: Whether CFAI_CLASS_SERVER or CFAI_BASE_URL sets the address.

    Raises:
        InvalidOptionError: The key must not be sent to the server.
    """
    kind = call_without_traceback(lambda: find_token(key.reveal()))
    if kind is ADMIN_KEY:
        raise InvalidOptionError(
            _("CFAI_API_KEY is the admin key of a class server, which must not be used for calls"),
            _("Set CFAI_API_KEY to the key of a student (cfs_…), or unset it."),
        )
    if kind is CLASS_KEY and not is_address_from_environment:
        raise InvalidOptionError(
            _(
                "CFAI_API_KEY is a class key, which must not be sent to {server}: the environment "
                "does not set that address"
            ).format(server=server),
            _("Set CFAI_CLASS_SERVER to the address of your class server, or unset CFAI_API_KEY."),
        )
