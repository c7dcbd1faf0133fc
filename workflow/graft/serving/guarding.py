"""Who may ask the page's server: the browser of the person who started it, and nobody else.

Every page that this person has open in the browser can send requests to 127.0.0.1, and so can every
other user of the machine. So a request needs a secret, which only the address that was printed
has; it must be for this server by name, which a page of another host cannot pretend by its own DNS
entry (https://crypto.stanford.edu/dns/dns-rebinding.pdf); and it must come from a page of this
server (https://www.w3.org/TR/fetch-metadata/).
"""

import secrets
from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = "127.0.0.1"
ENTER = "/enter"
# Nothing but what this server has, and nothing that other pages could put around or into it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# A redirection would go on as a request of the page that led here, without the new cookie.
_WELCOME = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>graft</title>
<link rel="icon" href="data:,"><meta http-equiv="refresh" content="0; url=/">
<p><a href="/">To the page</a></p></html>
"""
_AGAIN = (
    "403: open the address that `graft open` printed, with its token. Each start has another one.\n"
)


class Guard:
    """Lets requests through to an application that are this person's own.

    Args:
        application: what answers them.
        port: of the server.

    Attributes:
        token: the secret: 32 random bytes as text that can be part of an address.
    """

    def __init__(self, application: ASGIApp, port: int) -> None:
        self._application = application
        self._hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
        # Browsers keep one cookie of a name for all ports of a host.
        self._cookie = f"graft-{port}"
        self.token = secrets.token_urlsafe(32)
        self._codes: set[str] = set()

    def make_code(self) -> str:
        """Another secret that can be part of an address, and is good for one visit.

        Other users of the machine see the command lines of programs that are started.
        """
        code = secrets.token_urlsafe(32)
        self._codes.add(code)
        return code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers as ASGI has it (https://asgi.readthedocs.io/en/latest/specs/www.html)."""
        if scope["type"] != "http":  # no page of this server opens anything else
            raise RuntimeError(f"{scope['type']} is not served")

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message)
            await send(message)

        answer = self._refuse(Request(scope)) or self._application
        await answer(scope, receive, send_headers)

    def _refuse(self, request: Request) -> Response | None:
        """What to answer instead of the application; None where the request may pass."""
        headers = request.headers
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return PlainTextResponse("403: this name is not the server's\n", 403)
        if request.url.path == ENTER and request.method == "GET":
            return self._enter(request)
        own = f"http://{hosts[0].lower()}"
        # Every browser says where a request that changes something comes from.
        origin = headers.get("origin", own if request.method in ("GET", "HEAD") else "")
        site = headers.get("sec-fetch-site", "none")
        if origin.lower() != own or site not in ("same-origin", "none"):
            return PlainTextResponse("403: this is for the pages of this server alone\n", 403)
        if not self._is_token(_read_cookie(headers.get("cookie", ""), self._cookie)):
            return PlainTextResponse(_AGAIN, 403)
        return None

    def _enter(self, request: Request) -> Response:
        """Gives a cookie for the token in the address, which then is nowhere else."""
        given = parse_qs(request.url.query).get("token", [""])[0]
        if given in self._codes:
            self._codes.remove(given)
        elif not self._is_token(given):
            return PlainTextResponse(_AGAIN, 403)
        answer = HTMLResponse(_WELCOME)
        answer.set_cookie(self._cookie, self.token, httponly=True, samesite="strict")
        return answer

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode("utf-8", "replace"), self.token.encode())


def _read_cookie(text: str, name: str) -> str:
    try:
        found = SimpleCookie(text).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def _add_headers(message: MutableMapping[str, Any]) -> None:
    names = {name.lower() for name, _ in message["headers"]}
    # Unless it is said otherwise, nothing stays in the browser.
    for name, value in (_HEADERS | {"Cache-Control": "no-store"}).items():
        if name.lower().encode() not in names:
            message["headers"].append((name.lower().encode(), value.encode()))
