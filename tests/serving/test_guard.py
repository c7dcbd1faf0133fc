"""Who may ask the server of `graft open`, and what it takes from them."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from background import Run
from images import call, complaint, content, graft, workspace
from opened import BLUE, Opened, find_id, list_set, opened, start_open

pytest.importorskip("starlette", reason="needs `uv run --extra open pytest`")
pytest.importorskip("uvicorn", reason="needs `uv run --extra open pytest`")

PAGES = ("/", "/all", "/try", "/static/open.css", "/api/state", "/api/queue", "/api/pictures")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose data set is listed."""
    made = tmp_path_factory.mktemp("guarded") / "project"
    list_set(made)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Opened]:
    """Its server, which writes nothing in these tests."""
    before = content(folder)
    with opened(folder) as running:
        yield running
    assert content(folder) == before


@pytest.mark.parametrize("path", [*PAGES, "/nothing", "/small/0", "/large/0"])
def test_without_the_token_there_is_nothing(server: Opened, path: str) -> None:
    name, _, _ = server.cookie.partition("=")
    for cookie in (
        "",
        f"{name}=",
        f"{name}=wrong",
        f"other={server.cookie}",
        "=;=;\\",
        f"{name}=é",
    ):
        answer = server.ask(path, Cookie=cookie)
        assert (answer.status, b"with its token" in answer.data) == (403, True)
    assert server.ask("/enter?token=wrong", Cookie=None).status == 403
    assert server.ask("/enter", Cookie=None).status == 403


def test_the_token_becomes_a_cookie_of_this_server_alone(server: Opened, folder: Path) -> None:
    entered = server.ask(f"/enter?{server.address.partition('?')[2]}", Cookie=None)
    given = entered.headers["set-cookie"]
    assert given.startswith(f"graft-{server.port}=")
    assert "httponly" in given.lower() and "samesite=strict" in given.lower()
    token = server.address.partition("token=")[2]
    assert token not in entered.data.decode() and len(token) > 40
    with opened(folder) as other:
        assert other.port != server.port
        assert other.ask("/api/state", Cookie=server.cookie).status == 403
        assert other.address.partition("token=")[2] != token


def test_what_a_browser_is_started_with_is_good_for_one_visit(folder: Path, tmp_path: Path) -> None:
    """Its command line is seen by all users of the machine."""
    seen = tmp_path / "seen"
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" > {seen}.part && mv {seen}.part {seen}\n')
    program.chmod(0o755)
    desktop = {"DISPLAY": ":9", "BROWSER": f"{program} %s"}
    run = Run([sys.executable, "-m", "graft", "open"], folder, os.environ | desktop)
    server = Opened(run)
    assert run.wait_until(seen.exists)
    address = seen.read_text().strip()
    assert address.startswith(f"http://127.0.0.1:{server.port}/enter?token=")
    assert address != server.address
    path = address.partition(str(server.port))[2]
    assert [server.ask(path, Cookie=None).status for _ in range(2)] == [200, 403]
    server.end()


@pytest.mark.parametrize("path", ["/", "/enter", "/api/decide"])
def test_another_name_of_the_host_is_refused(server: Opened, path: str) -> None:
    """A page of another host can have its name lead here, but not rename its requests."""
    own = f"127.0.0.1:{server.port}"
    asked = path if path != "/enter" else f"/enter?{server.address.partition('?')[2]}"
    body = {"id": "", "label": ""} if path == "/api/decide" else None
    for name in ("evil.example", f"evil.example:{server.port}", "127.0.0.1", f"{own}.evil.example"):
        assert server.ask(asked, body, Host=name).status == 403
    assert server.ask(asked, body, Host=None).status in (400, 403)
    assert server.ask(asked, body, Host="").status == 403
    assert server.ask(asked, body, Host=f"0.0.0.0:{server.port}").status == 403


def test_it_is_there_as_localhost_too(server: Opened) -> None:
    assert server.ask("/", Host=f"localhost:{server.port}").status == 200


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1:{}", ""],
)
def test_a_page_of_another_origin_changes_nothing(server: Opened, origin: str | None) -> None:
    said = origin and origin.format(server.port)
    for path in ("/api/decide", "/api/undo", "/api/try"):
        answer = server.ask(path, {"id": find_id(f"{BLUE}/00.png"), "label": BLUE}, Origin=said)
        assert answer.status == 403
        assert not {name for name in answer.headers if name.startswith("access-control")}


def test_a_page_of_another_site_sees_nothing(server: Opened) -> None:
    picture = f"/small/{find_id(f'{BLUE}/00.png')}"
    for site in ("cross-site", "same-site"):
        for path in ("/", "/api/state", picture):
            assert server.ask(path, Sec_Fetch_Site=site).status == 403
    assert server.ask(picture, Origin="http://127.0.0.1:1").status == 403
    assert server.ask(picture, Sec_Fetch_Site="same-origin").status == 200
    asked = server.ask("/api/decide", method="OPTIONS", Origin="http://evil.example")
    assert asked.status == 403 and "access-control-allow-origin" not in asked.headers


@pytest.mark.parametrize("path", [*PAGES, "/nothing", "/enter"])
def test_every_answer_keeps_others_out(server: Opened, path: str) -> None:
    for headers in (server.ask(path).headers, server.ask(path, Cookie=None).headers):
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "http" not in policy and "unsafe" not in policy and "*" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


@pytest.mark.parametrize(
    "path",
    [
        *("/large/../params.yaml", "/large/..%2f..%2fparams.yaml", "/static/..%2fguarding.py"),
        *("/static/../../params.yaml", "/static/%2e%2e/guarding.py", "//etc/passwd"),
        *(f"/large/{BLUE}%2f00.png", "/large/" + "0" * 32, "/small/%00", "/large/" + "a" * 9000),
        *("/api/near/" + "f" * 32, "/static/guarding.py", "/static/"),
    ],
)
def test_there_are_only_pictures_of_the_data_set(server: Opened, path: str) -> None:
    assert server.ask(path).status == 404


@pytest.mark.parametrize(
    "query",
    [
        *("class=-1", "class=x", "class=%C2%B2", "start=1e3", "count=501", "part=all"),
        "start=" + "9" * 5000,
    ],
)
def test_a_wrong_question_is_refused(server: Opened, query: str) -> None:
    answer = server.ask(f"/api/pictures?{query}")
    assert answer.status == 400 and answer.said["error"]


def test_what_is_sent_has_bounds(server: Opened) -> None:
    large = 65 * 2**20
    assert server.ask("/api/try", b"x", Content_Length=str(large)).status == 413
    assert server.ask("/api/decide", b"{}", Content_Length=str(10**6)).status == 413
    # Without a length it ends where there is too much.
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    chunked = {"Transfer_Encoding": "chunked", "Content_Length": None}
    assert server.ask("/api/decide", 2 * chunk + b"0\r\n\r\n", **chunked).status == 413
    for said in (b"", b"{", b"[]", b"[" * 60_000, b'{"id": 1, "label": 2}', b"\xff", b"{}"):
        assert server.ask("/api/decide", said).status == 400


def test_no_other_method_does_anything(server: Opened) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        assert server.ask("/api/decide", b"{}", method=method, Origin=None).status in (403, 405)
    assert server.ask("/api/decide").status == 405
    assert server.ask("/", b"").status == 405


def test_it_listens_on_this_machine_alone(server: Opened) -> None:
    with socket.socket() as other:
        other.settimeout(5)
        # On Linux this is also an address of the machine itself.
        assert other.connect_ex(("127.0.0.2", server.port)) != 0


def test_a_port_that_is_taken_is_refused(server: Opened, folder: Path) -> None:
    for port in (server.port, -1, 65536, "x"):
        said = complaint(folder, "open", "--no-browser", "--port", str(port))
        assert "--port" in said
    assert str(server.port) in complaint(folder, "open", "--port", str(server.port))


def test_a_browser_that_leaves_in_the_middle_harms_nobody(server: Opened) -> None:
    own = f"Host: 127.0.0.1:{server.port}\r\nCookie: {server.cookie}\r\n\r\n"
    for pause in range(30):
        with socket.create_connection(("127.0.0.1", server.port)) as leaving:
            leaving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            leaving.sendall(50 * f"GET /static/page.css HTTP/1.1\r\n{own}".encode())
            leaving.recv(100)
            leaving.shutdown(socket.SHUT_WR)
            time.sleep(pause / 1000)
    assert server.ask("/").status == 200
    assert "Traceback" not in server.run.text


def test_ctrl_c_ends_it_quietly(folder: Path) -> None:
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        server = start_open(folder)
        with socket.create_connection(("127.0.0.1", server.port)):  # a browser keeps some open
            os.kill(server.run.pid, number)
            assert server.run.wait(60) == status
        assert "Traceback" not in server.run.text and "Error" not in server.run.text
    assert not list(folder.rglob(".part-*"))


def test_without_the_extra_it_says_how_to_get_it(folder: Path) -> None:
    without = "import sys; sys.modules['starlette'] = None; sys.argv[1:] = ['open']; "
    run = "from graft.cli import main; main()"
    ended = call(sys.executable, "-c", without + run, cwd=folder)
    assert ended.returncode == 2 and ended.stdout == ""
    assert "`uv run --extra open graft open`" in ended.stderr and ended.stderr.count("\n") == 1


def test_without_a_project_or_parameters_it_does_not_start(tmp_path: Path) -> None:
    assert "in the project's folder" in complaint(tmp_path, "open", "--no-browser")
    workspace(tmp_path, {"image.side": 0})
    assert "image.side" in complaint(tmp_path, "open", "--no-browser")
    assert graft(tmp_path, "open", "--help")[0] == 0
