"""A served page: for this machine and whoever has its address, up with what it is made of, ended cleanly."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nas.errors import NasError
from nas.report.served import Served


class Run:
    """What is served: a state that a test changes."""

    def __init__(self) -> None:
        self.state, self.made = "1", 0

    def render(self, state: str) -> str:
        self.made += 1
        if state == "torn":
            raise ValueError("line 3 is\nno result")
        return f"page {state}"


@contextmanager
def serving(run: Run) -> Iterator[Served]:
    with Served(run.render, lambda: run.state, every=0.05) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)
    assert not thread.is_alive()


def get(server: Served, path: str, host: str | None = None) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{server.server_port}"})
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(), dict(answer.getheaders())
    connection.close()
    return found


def test_it_serves_the_page_to_who_has_the_token():
    with serving(Run()) as server:
        assert server.address == f"http://127.0.0.1:{server.server_port}/{server.token}/"
        status, text, headers = get(server, f"/{server.token}/")
        assert (status, text) == (200, "page 1")
        assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
        assert get(server, f"/{server.token}/", f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize(
    "path", ["/", "/events", "/wrong/", "/{token}", "/{token}x/", "/{token}/../etc/passwd", "/{token}/a"]
)
def test_nobody_else_gets_anything(path):
    with serving(Run()) as server:
        path = path.format(token=server.token) if path != "/{token}" else f"/{server.token[:-1]}"
        status, text, _ = get(server, path)
        assert (status, text) == (404, "there is nothing here: the address has a token in it\n")


def test_a_name_of_elsewhere_does_not_lead_here():
    with serving(Run()) as server:
        for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1", "127.0.0.1:1"):
            assert get(server, f"/{server.token}/", host)[0] == 403


def test_it_listens_on_loopback_alone():
    with serving(Run()) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_other_methods_are_refused():
    with serving(Run()) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.request("POST", f"/{server.token}/", body=b"x")
        assert connection.getresponse().status == 501
        connection.close()


def test_a_page_is_made_once_a_state():
    run = Run()
    with serving(run) as server:
        for _ in range(3):
            get(server, f"/{server.token}/")
        assert run.made == 1
        run.state = "2"
        assert get(server, f"/{server.token}/")[1] == "page 2"
        assert run.made == 2


def test_a_page_that_cannot_be_made_is_a_line():
    run = Run()
    run.state = "torn"
    with serving(run) as server:
        assert get(server, f"/{server.token}/")[:2] == (500, "no page could be made: line 3 is no result\n")
        run.state = "2"
        assert get(server, f"/{server.token}/")[0] == 200


def test_it_says_when_the_state_is_another():
    run = Run()
    with serving(run) as server, socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as asked:
        request = f"GET /{server.token}/events?state=1 HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n"
        asked.sendall(request.encode())
        time.sleep(0.2)
        run.state = "2"
        text = b"".join(iter(lambda: asked.recv(1000), b"")).decode()
    head, _, body = text.partition("\r\n\r\n")
    assert "text/event-stream" in head and "200 OK" in head
    assert body.endswith("event: changed\ndata: now\n\n") and ": still here" in body


def test_who_comes_late_is_told_at_once():
    run = Run()
    run.state = "5"
    with serving(run) as server:
        assert get(server, f"/{server.token}/events?state=1")[1] == "event: changed\ndata: now\n\n"


def test_it_ends_although_somebody_listens():
    run, begun = Run(), time.monotonic()
    with serving(run) as server, socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as asked:
        request = f"GET /{server.token}/events?state=1 HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n"
        asked.sendall(request.encode())
        assert asked.recv(10)
    assert time.monotonic() - begun < 8


def test_a_port_that_is_taken_is_said():
    with serving(Run()) as server:
        port = server.server_port
        with pytest.raises(NasError, match=rf"^port {port} cannot be served on \(.*in use.*\): without --port any"):
            Served(Run().render, str, port)
