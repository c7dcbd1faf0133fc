"""What a test reads from a page."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """A page as a browser reads it.

    Attributes:
        texts: each run of text by itself.
        text: all of them in one line.
        tags: the names of the elements.
        handlers: attributes that would run a script.
        addresses: of whatever the page shows or leads to.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.handlers: list[str] = []
        self.addresses: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
