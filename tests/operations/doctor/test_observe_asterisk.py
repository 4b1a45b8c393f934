"""Observations of a web server in place of Asterisk: a real Asterisk does not give these answers on demand."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from idtone.core.errors import AriRefused, AriUnavailable
from idtone.core.settings.settings import AriSettings
from idtone.operations.doctor import observe_asterisk
from idtone.operations.doctor.asterisk_findings import AsteriskObservation

INFO = {"system": {"version": "22.10.1"}}
STATE_OF_FORWARD = "deviceStates/Local%2Fs%40idtone-forward"
STATE_OF_CALLED = "deviceStates/Local%2Fs%40idtone-called"
MODULES = [{"name": "res_ari.so", "status": "Running"}, {"name": "func_cut.so", "status": "Not Running"}]


class Told(BaseHTTPRequestHandler):
    """A server that answers paths by the table `server.answers` (status and body), and other paths with 404."""

    def do_GET(self) -> None:
        status, body = self.server.answers.get(self.path.removeprefix("/ari/"), (404, "{}"))  # type: ignore[attr-defined]
        self.server.asked.append((self.command, self.path, dict(self.headers)))  # type: ignore[attr-defined]
        self.send_response(status)
        self.end_headers()
        self.wfile.write((body() if callable(body) else body).encode())

    do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        pass


def epoch(ahead_s: int = 0) -> str:
    return json.dumps({"value": str(int(time.time()) + ahead_s)})


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Told) as running:
        running.asked = []
        running.answers = {
            "asterisk/info": (200, json.dumps(INFO)),
            "asterisk/modules": (200, json.dumps(MODULES)),
            "asterisk/variable?variable=EPOCH": (200, epoch),
            **{f"asterisk/variable?variable={name}": (200, '{"value": ""}') for name in observe_asterisk.VARIABLES},
            STATE_OF_FORWARD: (200, '{"name": "", "state": "NOT_INUSE"}'),
            STATE_OF_CALLED: (200, '{"name": "", "state": "NOT_INUSE"}'),
        }
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def look(server: ThreadingHTTPServer) -> AsteriskObservation:
    return observe_asterisk.observe(AriSettings(url=f"http://127.0.0.1:{server.server_port}/ari"), "sesame, open")


def test_what_is_seen_and_that_no_request_changes_anything(server):
    seen = look(server)
    assert seen.modules == {"res_ari"}, "only running ones count"
    assert (seen.version, seen.nearby, seen.application, seen.write_status) == ("22.10.1", True, False, 404)
    assert abs(seen.ahead_s) < 30
    (written,) = [path for method, path, _ in server.asked if method != "GET"]
    assert written.startswith("/ari/playbacks/idtone-doctor-")
    assert all("sesame" not in path and sent["Authorization"].startswith("Basic ") for _, path, sent in server.asked)
    assert all("Origin" not in sent for _, _, sent in server.asked), "Asterisk logs each origin that it does not allow"
    server.answers["asterisk/variable?variable=EPOCH"] = (200, lambda: epoch(90))
    assert 60 < look(server).ahead_s < 120


def test_the_contexts_of_the_hook(server):
    good = dict(server.answers)
    for path, answer, contexts in (
        (STATE_OF_FORWARD, (200, '{"state": "INUSE"}'), {"idtone-forward", "idtone-called"}),
        (STATE_OF_FORWARD, (200, '{"state": "INVALID"}'), {"idtone-called"}),
        (STATE_OF_CALLED, (200, '{"state": "INVALID"}'), {"idtone-forward"}),
        (STATE_OF_CALLED, (404, '{"message": "Resource not found"}'), None),
    ):
        server.answers = good | {path: answer}
        assert look(server).contexts == contexts, (path, answer)


def test_answers_that_are_not_asterisks(server):
    good = dict(server.answers)
    for path, body in (
        ("asterisk/info", "<html>It works!</html>"),
        ("asterisk/info", "[]"),
        ("asterisk/info", '{"system": null}'),
        ("asterisk/modules", '{"message": "no"}'),
        ("asterisk/variable?variable=EPOCH", '{"value": "soon"}'),
        ("asterisk/variable?variable=ASTETCDIR", ""),
        (STATE_OF_CALLED, '{"message": "no"}'),
    ):
        server.answers = good | {path: (200, body)}
        with pytest.raises(AriUnavailable, match="are not Asterisk's"):
            look(server)
    server.answers = good | {"asterisk/info": (401, "{}")}
    with pytest.raises(AriRefused, match="401"):
        look(server)
