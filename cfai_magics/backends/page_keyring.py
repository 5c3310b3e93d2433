"""Keep credentials in the page of a kernel in the browser."""

from ..browser_page import get_page
from ..errors import StorageError
from ..i18n import _, mark

IN_TAB = mark("this tab of the browser")
IN_BROWSER = mark("this browser")


class PageKeyring:
    """The page of this kernel, which keeps the text until its tab is closed, or until a logout.

    Without a page that answers, it is treated as a keyring that is not available.
    """

    @property
    def name(self) -> str:
        """The place where the page keeps the text."""
        page = get_page()
        return IN_BROWSER if page and page.keeps_credentials else IN_TAB

    def get(self) -> str | None:
        """Return the stored text, or None if no text is stored."""
        page = get_page()
        return page.credentials if page and page.wait() else None

    def set(self, text: str) -> None:
        """Store the text. Raises StorageError if there is no page."""
        page = get_page()
        if page is None or not page.wait():
            raise StorageError(_("No keyring is available"))
        page.save_credentials(text, keep=page.keeps_credentials)

    def delete(self) -> None:
        """Delete the stored text."""
        page = get_page()
        if page is not None:
            page.save_credentials(None, keep=False)
