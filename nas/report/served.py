"""A page served on this machine alone, which learns when what it is made of has changed.

Who has the address has a token: another page in the same browser, or another user, does not. The name that a request
asks for is checked as well, so that no name of elsewhere can be made to lead here.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from nas.errors import NasError, one_line

HERE = "127.0.0.1"

EVERY = 2.0
"""Seconds between looks at what is followed, and at least between a page and the next."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Served(ThreadingHTTPServer):
    """Serves what `render` gives of a `state`, until it is closed; `state` changes where the page would.

    Raises NasError for a port that cannot be had.
    """

    daemon_threads = True

    def __init__(self, render: Callable[[str], str], state: Callable[[], str], port: int = 0, every: float = EVERY):
        self.render, self.state, self.every = render, state, every
        self.token = secrets.token_urlsafe(24)
        self.is_closing = threading.Event()
        self._made = threading.Lock()
        self._page = "", b""
        try:
            super().__init__((HERE, port), _Handler)
        except OSError as error:
            why = error.strerror or error
            raise NasError(f"port {port} cannot be served on ({why}): without --port any that is free is") from None

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HERE}:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> tuple[str, str]:
        """What a request may call this server."""
        return f"{HERE}:{self.server_port}", f"localhost:{self.server_port}"

    def page(self) -> bytes:
        """The page as of now; made once a state, however many ask."""
        with self._made:
            state = self.state()
            if self._page[0] != state:
                self._page = state, self.render(state).encode()
            return self._page[1]

    def server_close(self) -> None:
        self.is_closing.set()
        super().server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Served
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "nas", ""
    timeout = 60

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        if self.headers.get("Host") not in self.server.hosts:
            return self._text(HTTPStatus.FORBIDDEN, "this server is not called so")
        head, _, name = place.path.removeprefix("/").partition("/")
        if not secrets.compare_digest(head.encode(), self.server.token.encode()) or name not in ("", "events"):
            return self._text(HTTPStatus.NOT_FOUND, "there is nothing here: the address has a token in it")
        if name == "events":
            return self._events(parse_qs(place.query).get("state", [""])[0])
        try:
            page = self.server.page()
        except Exception as error:  # a run that is being damaged is no reason to stop: the next look may be well
            return self._text(HTTPStatus.INTERNAL_SERVER_ERROR, f"no page could be made: {error}")
        return self._send(HTTPStatus.OK, page, "text/html; charset=utf-8")

    def _events(self, seen: str) -> None:
        """Says `changed` once the state is another than was seen, and then no more: the page comes again."""
        self.send_response(HTTPStatus.OK)
        for name, value in {**HEADERS, "Content-Type": "text/event-stream", "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        try:
            while not self.server.is_closing.wait(self.server.every):
                if self.server.state() != seen:
                    self.wfile.write(b"event: changed\ndata: now\n\n")
                    return
                self.wfile.write(b": still here\n\n")  # fails where nobody listens any more
        except OSError:
            return

    def _text(self, status: HTTPStatus, text: str) -> None:
        self._send(status, f"{one_line(text)}\n".encode(), "text/plain; charset=utf-8")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is the user's."""
