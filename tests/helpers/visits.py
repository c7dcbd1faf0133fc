"""A page that a server on this machine gives to a browser, and what goes wrong in it."""

from typing import Any


class WatchedPage:
    """A new page, from which nothing may ask for anything but its own server.

    Attributes:
        page: of Playwright.
        trouble: messages of the console, errors, and requests that left the server.
    """

    def __init__(self, browser: Any, own: str, **options: Any) -> None:
        """
        Args:
            browser: of Playwright.
            own: the address of the server, with a slash in the end.
            options: of the context.
        """
        self.trouble: list[str] = []
        self.own = own
        self.page = browser.new_context(**options).new_page()
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.context.on("request", self._watch)

    def _watch(self, request: Any) -> None:
        if not request.url.startswith((self.own, "data:", f"blob:{self.own}")):
            self.trouble.append(request.url)

    def end(self) -> None:
        """Nothing went wrong."""
        self.page.context.close()
        assert self.trouble == []
