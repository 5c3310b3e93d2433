"""The system's keyring, as one text under one name."""

from typing import Protocol

from ..errors import StoreError

SERVICE = "cfai-magics"
ENTRY = "credentials"
UNLOCK = "Unlock it, then try again."


class Vault(Protocol):
    """A system's keyring: one text under one name."""

    name: str

    def get(self) -> str | None:
        """Return what is kept, or None; StoreError if it can't be read now."""

    def put(self, text: str) -> None:
        """Keep the text; StoreError when it can't be kept."""

    def delete(self) -> None:
        """Forget what is kept; StoreError when it stays."""


class Keyring:
    """The system's keyring by the library of that name; without one it holds nothing."""

    name = "the system's keyring"

    def get(self) -> str | None:
        """Return what is kept, or None, also if no keyring works; StoreError if it is locked."""
        try:
            import keyring
        except ImportError:
            return None
        try:
            return keyring.get_password(SERVICE, ENTRY)
        except keyring.errors.NoKeyringError:
            return None
        except keyring.errors.KeyringLocked:
            raise StoreError("The system's keyring is locked", UNLOCK) from None
        except Exception as error:  # noqa: BLE001 - each backend has errors of its own
            raise StoreError(
                f"The system's keyring can't be read ({type(error).__name__})", UNLOCK
            ) from None

    def put(self, text: str) -> None:
        """Keep the text; StoreError when no keyring works."""
        try:
            import keyring

            keyring.set_password(SERVICE, ENTRY, text)
        except Exception as error:
            raise StoreError("No keyring works here") from error

    def delete(self) -> None:
        """Forget what is kept; StoreError when the keyring does not let it go."""
        try:
            import keyring

            chosen = keyring.get_keyring()
            # A chain of several deletes from its first alone.
            for backend in getattr(chosen, "backends", (chosen,)):
                if backend.get_password(SERVICE, ENTRY) is not None:
                    backend.delete_password(SERVICE, ENTRY)
        except Exception as error:
            raise StoreError(
                "The keyring does not forget the credentials", "Delete cfai-magics there by hand."
            ) from error
