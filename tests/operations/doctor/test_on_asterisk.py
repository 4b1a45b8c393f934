"""`idtone doctor` on a real PBX: first correct, then with one real fault after the other.

Each test names the findings that differ from those of the correct PBX; no others may.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from idtone.call_control.journal import READ
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.ledger.tree.notes import Note, Signer
from idtone.operations.doctor.checks import LEDGER
from idtone.operations.doctor.findings import TOPICS
from idtone.operations.doctor.modules import CDR, DIALPLAN_VIEW, in_order, needed
from idtone.operations.doctor.shared_files import WRITABLE

from ...conftest import LAB_REGISTRY
from ...lab.asterisk import IDTONE, MODULES, Asterisk
from ...lab.bootstrap import AsteriskInstallation
from ...lab.lab import SUSPENDED
from ...lab.service import Service
from .examining import Findings, examine, run

SEEN_OVER_ARI = {
    "asterisk-version", "asterisk-modules", "ari-rights", "ari-exposure", "cdr", "clock-asterisk",
    "hook-loaded", "service-application", "sounds-readable", "journal",
}  # fmt: skip
IN_ITS_FOLDER = {"live-dangerously", "ari-origins", "hook-file", "hook-include", "hook-use"}
OTHER_SECRET = {"hook-file": "bad"}
"""The lab's hook uses AGI, with a secret that is derived from the ARI password."""
OF_THE_MACHINE = {"clock-synchronised", "watchdog", "name-own", "registry-trust"}
"""The lab cannot control these, except that its registry is unsigned."""


@pytest.fixture(scope="module")
def pbx(installation: AsteriskInstallation) -> Iterator[Service]:
    """A PBX and a service that only these tests break. Other users can enter its folder, as on a PBX."""
    with tempfile.TemporaryDirectory(prefix="idtone-doctor-") as scratch:
        Path(scratch).chmod(0o755)
        asterisk = Asterisk(installation, Path(scratch), modules_conf(*MODULES, *DIALPLAN_VIEW))
        with asterisk, Service(asterisk, LAB_REGISTRY) as service:
            yield service


def modules_conf(*names: str) -> dict[str, str]:
    return {"modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in names)}


@pytest.fixture(scope="module")
def intact(pbx: Service) -> Findings:
    return examine(pbx)


def changed(intact: Findings, broken: Findings) -> dict[str, str]:
    return {
        topic: finding["state"]
        for topic, finding in broken.items()
        if finding["state"] != intact[topic]["state"] and topic not in OF_THE_MACHINE
    }


def recovered(service: Service, intact: Findings, within_s: float = 15) -> None:
    """Wait until the service is connected to Asterisk again, so that the next test finds a correct PBX."""
    deadline_s = time.monotonic() + within_s
    while broken := changed(intact, examine(service)):
        assert time.monotonic() < deadline_s, broken


@contextmanager
def edited(path: Path, change: Callable[[str], str] | None) -> Iterator[None]:
    """Change or remove a file, then restore it with its time and mode."""
    kept = path.with_name(f"{path.name}.kept")
    shutil.copy2(path, kept)
    try:
        if change is None:
            path.unlink()
        else:
            path.write_bytes(change(path.read_bytes().decode("latin-1")).encode("latin-1"))
        yield
    finally:
        kept.replace(path)


@contextmanager
def reloaded(service: Service, path: Path, change: Callable[[str], str], command: str) -> Iterator[None]:
    try:
        with edited(path, change):
            service.asterisk.command(command)
            yield
    finally:
        service.asterisk.command(command)


# -- intact ------------------------------------------------------------------------------------------------------


def test_problems_alone(pbx, intact):
    _, output = run(pbx, "--json", "--problems")
    problems = {finding["id"] for finding in json.loads(output)}
    assert problems
    assert problems == {topic for topic, finding in intact.items() if finding["state"] != "good"}


def test_a_correct_pbx_is_good_and_stays_unchanged(pbx, intact):
    def trace() -> Mapping[Path, tuple[int, int] | None]:
        folders = (pbx.asterisk.etc, pbx.asterisk.sounds, pbx.asterisk.sounds / "journal", pbx.ledger.parent)
        paths = [path for folder in folders for path in folder.iterdir()]
        return {
            path: None if path.is_dir() or path.name == READ else (path.stat().st_mtime_ns, path.stat().st_size)
            for path in paths
        }

    before, log = trace(), pbx.asterisk.log()
    findings = examine(pbx)
    assert changed(intact, findings) == {}
    not_good = {topic for topic, finding in findings.items() if finding["state"] != "good"}
    assert not_good <= OF_THE_MACHINE, [findings[topic] for topic in not_good]
    files = len([path for path in before if path.parent == pbx.asterisk.sounds and path.is_file()])
    assert f"may read all {files} files" in findings["sounds-readable"]["found"], "fallback.conf too"
    assert trace() == before
    assert pbx.asterisk.log() == log, "Asterisk logged nothing"
    assert "took over" not in pbx.log()
    assert "was closed" not in pbx.log(), "the AGI listener logged nothing"


def test_people_get_a_table_without_colours_in_a_pipe(pbx):
    code, output = run(pbx, prefix=("env",))
    assert code == 0
    assert "\x1b" not in output
    for topic in TOPICS.values():
        assert topic.looked_at in output
    assert re.search(r"^\d+ good", output.splitlines()[-1])


# -- Asterisk -----------------------------------------------------------------------------------------------------


def test_a_wrong_password(pbx, intact):
    findings = examine(pbx, "--asterisk-etc", str(pbx.asterisk.etc), ARI_PASSWORD=pbx.asterisk.ari_password[::-1])
    expected = {"ari": "bad", **OTHER_SECRET} | dict.fromkeys(SEEN_OVER_ARI, "unknown")
    assert changed(intact, findings) == expected
    assert "401" in findings["ari"]["found"]
    assert "[idtone]" in findings["ari"]["remedy"]


def test_no_password(pbx, intact):
    findings = examine(pbx, "--asterisk-etc", str(pbx.asterisk.etc), ARI_PASSWORD_FILE=pbx.ledger.with_name("none"))
    expected = {"ari": "unknown", "ari-password": "bad", "hook-file": "unknown"}
    assert changed(intact, findings) == expected | dict.fromkeys(SEEN_OVER_ARI, "unknown")
    assert "the hook's secret needs the ARI password" in findings["hook-file"]["found"]
    assert str(pbx.ledger.with_name("none")) in findings["ari-password"]["found"]


def test_nothing_listens_at_the_address(pbx, intact):
    findings = examine(pbx, ARI_URL="http://localhost:1/ari")
    expected = {"ari": "bad"} | dict.fromkeys(SEEN_OVER_ARI | IN_ITS_FOLDER, "unknown")
    assert changed(intact, findings) == expected
    assert "http.conf" in findings["ari"]["remedy"]


def test_with_a_hung_asterisk_the_doctor_ends_within_ten_seconds(pbx, intact):
    assert pbx.asterisk.process
    pbx.asterisk.process.send_signal(signal.SIGSTOP)
    try:
        started_s = time.monotonic()
        findings = examine(pbx, "--asterisk-etc", str(pbx.asterisk.etc))
        took_s = time.monotonic() - started_s
    finally:
        pbx.asterisk.process.send_signal(signal.SIGCONT)
        recovered(pbx, intact)
    assert changed(intact, findings) == {"ari": "bad"} | dict.fromkeys(SEEN_OVER_ARI, "unknown")
    assert took_s < 10


def test_a_read_only_user(pbx, intact):
    with reloaded(
        pbx, pbx.asterisk.etc / "ari.conf", lambda text: f"{text}read_only = yes\n", "module reload res_ari.so"
    ):
        findings = examine(pbx)
    assert changed(intact, findings) == {"ari-rights": "bad"}
    assert "`read_only = no`" in findings["ari-rights"]["remedy"]


@pytest.mark.parametrize(("password", "state"), [("peekaboo", "bad"), ("short-one", "warning")])
def test_a_poor_password(pbx, intact, password, state):
    with reloaded(
        pbx,
        pbx.asterisk.etc / "ari.conf",
        lambda text: text.replace(pbx.asterisk.ari_password, password),
        "module reload res_ari.so",
    ):
        findings = examine(pbx, ARI_PASSWORD=password)
        assert changed(intact, findings) == {"ari-password": state, "hook-loaded": "bad", **OTHER_SECRET}
    assert "openssl rand" in findings["ari-password"]["remedy"]
    assert "idtone dialplan export again" in findings["ari-password"]["remedy"]


def test_a_password_file_that_all_users_can_read(pbx, intact):
    path = pbx.asterisk.scratch / "ari.password"
    path.chmod(0o644)
    try:
        findings = examine(pbx)
    finally:
        path.chmod(0o600)
    assert changed(intact, findings) == {"ari-password": "bad"}
    assert findings["ari-password"]["remedy"] == f"chmod 600 {path}"


def test_all_origins_are_allowed(pbx, intact):
    with reloaded(
        pbx,
        pbx.asterisk.etc / "ari.conf",
        lambda text: text.replace("enabled = yes", "enabled = yes\nallowed_origins = *"),
        "module reload res_ari.so",
    ):
        findings = examine(pbx)
    assert changed(intact, findings) == {"ari-origins": "warning"}


@pytest.mark.parametrize("module", ["func_cut", "format_gsm"])
def test_a_module_that_was_unloaded(pbx, intact, module):
    assert "Unloaded" in pbx.asterisk.command(f"module unload {module}.so")
    try:
        findings = examine(pbx)
    finally:
        pbx.asterisk.command(f"module load {module}.so")
    assert changed(intact, findings) == {"asterisk-modules": "bad"}
    assert findings["asterisk-modules"]["found"] == f"not running: {module}"


def test_an_asterisk_with_several_faults(installation, tmp_path, pbx, intact):
    """Faults that need a start of Asterisk, all in one start."""
    files = {
        "extensions.conf": "[from-lab]\nexten = _X.,1,Hangup()\n",
        "http.conf": "[general]\nenabled = yes\nbindaddr = 0.0.0.0\nbindport = {port}\n",
    }
    asterisk = Asterisk(installation, tmp_path, files)
    files["http.conf"] = files["http.conf"].format(port=asterisk.http_port)
    with asterisk, edited(asterisk.etc / "asterisk.conf", lambda text: f"{text}\n[options]\nlive_dangerously = yes\n"):
        findings = examine(
            pbx,
            ARI_URL=asterisk.ari_url,
            ARI_PASSWORD=asterisk.ari_password,
            SOUNDS_DIRECTORY=asterisk.sounds,
            AGI_LISTEN=f"127.0.0.1:{asterisk.agi_port}",
        )
    assert changed(intact, findings) == {
        "ari-exposure": "warning",
        "live-dangerously": "bad",
        "hook-loaded": "bad",
        "hook-include": "bad",
        "sounds": "bad",
        "fallback": "bad",
        "journal": "bad",
        "service-application": "bad",
        "agi": "bad",
    }
    assert findings["hook-loaded"]["found"] == "Asterisk has not loaded the hook"
    assert "0.0.0.0" in findings["ari-exposure"]["found"]
    assert "missing" in findings["sounds"]["found"]


def test_a_module_without_which_evidence_is_weaker(pbx, intact):
    assert "Unloaded" in pbx.asterisk.command("module unload func_cdr.so")
    findings = examine(pbx)
    assert changed(intact, findings) == {"cdr": "warning"}
    assert follow(pbx, findings["cdr"]["remedy"]) == ["Loaded func_cdr"]
    assert changed(intact, examine(pbx)) == {}


def test_the_cdr_engine_is_disabled_and_the_remedy_enables_it(pbx, intact):
    def status() -> str:
        return pbx.asterisk.command("cdr show status")

    path, command = pbx.asterisk.etc / "cdr.conf", "module reload cdr"
    with reloaded(pbx, path, lambda text: "[general]\nenable = no\n", command):
        findings = examine(pbx)
        assert re.search(r"Logging: +Disabled", status())
        remedy = findings["cdr"]["remedy"]
        assert remedy.startswith(f"In {path}, [general]: `enable = yes`; then ")
        path.write_text("[general]\nenable = yes\n")
        follow(pbx, remedy)
        assert re.search(r"Logging: +Enabled", status())
        assert changed(intact, examine(pbx)) == {}
    assert changed(intact, findings) == {"cdr": "warning"}


def follow(service: Service, remedy: str, asterisk: Asterisk | None = None) -> list[str]:
    """Run the commands of a remedy in order, and return Asterisk's output for each."""
    commands = re.findall(r"asterisk -rx '([^']*)'", remedy)
    assert commands, remedy
    return [(asterisk or service.asterisk).command(command).strip() for command in commands]


def test_the_remedy_loads_modules_in_an_order_that_works(installation, tmp_path, pbx):
    """The Asterisk has none of the hook's modules, but has ARI."""
    asked = in_order(("res_ari_asterisk", *DIALPLAN_VIEW))
    unwanted = {*in_order(needed(pbx.asterisk.etc.joinpath("idtone.conf").read_text())), CDR} - {*asked}
    other = Asterisk(installation, tmp_path, modules_conf(*(name for name in MODULES if name not in unwanted), *asked))
    with other:

        def look() -> dict[str, Any]:
            settings = {"ARI_URL": other.ari_url, "ARI_PASSWORD": other.ari_password}
            return examine(pbx, **settings)["asterisk-modules"]

        finding = look()
        assert finding["state"] == "bad"
        assert len(finding["found"].split(", ")) > 25, "the test needs many modules"
        answers = follow(pbx, finding["remedy"], other)
        assert [answer for answer in answers if not answer.startswith("Loaded ")] == []
        assert look()["state"] == "good"


def test_ari_without_the_module_that_answers_and_the_remedy_loads_it(pbx, intact):
    assert "Unloaded" in pbx.asterisk.command("module unload res_ari_asterisk.so")
    findings = examine(pbx, "--asterisk-etc", str(pbx.asterisk.etc))
    try:
        assert changed(intact, findings) == {"ari": "bad"} | dict.fromkeys(SEEN_OVER_ARI, "unknown")
        assert "404" in findings["ari"]["found"]
        assert pbx.asterisk.ari_url in findings["ari"]["found"]
    finally:
        follow(pbx, findings["ari"]["remedy"])
    recovered(pbx, intact)


def test_an_address_that_is_not_aris_is_named(pbx, intact):
    address = pbx.asterisk.ari_url.removesuffix("/ari")
    findings = examine(pbx, "--asterisk-etc", str(pbx.asterisk.etc), ARI_URL=address)
    assert changed(intact, findings) == {"ari": "bad"} | dict.fromkeys(SEEN_OVER_ARI, "unknown")
    assert findings["ari"]["found"].endswith(f"at {address}")
    assert f"`ari: {{url: '{address}/ari'}}`" in findings["ari"]["remedy"]


# -- the hook -------------------------------------------------------------------------------------------------------


def test_a_hook_that_was_edited(pbx, intact):
    with edited(pbx.asterisk.etc / "idtone.conf", lambda text: text.replace("(absolute)=3", "(absolute)=9")):
        findings = examine(pbx)
    assert changed(intact, findings) == {"hook-file": "bad"}
    assert "changed after its export" in findings["hook-file"]["found"]


def test_an_older_hook_is_loaded_and_the_remedy_corrects_it(pbx, intact):
    hook = pbx.asterisk.etc / "idtone.conf"
    hook.write_text(re.sub(r"IDTONE_HOOK=\w+", "IDTONE_HOOK=feedfacefeedface", hook.read_text()))
    pbx.asterisk.command("dialplan reload")
    findings = examine(pbx)
    assert changed(intact, findings) == {"hook-loaded": "bad", "hook-file": "bad"}
    export, separator, reload = findings["hook-loaded"]["remedy"].partition(" && ")
    assert (separator, reload) == (" && ", "asterisk -rx 'dialplan reload'")
    path = f"{IDTONE.parent}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", export], check=True, stdout=subprocess.DEVNULL, env=os.environ | {"PATH": path})
    pbx.asterisk.command("dialplan reload")
    assert changed(intact, examine(pbx)) == {}


def test_other_settings_than_the_hooks(pbx, intact, tmp_path):
    findings = examine(pbx, SOUNDS_DIRECTORY=tmp_path)
    wrong = ("hook-loaded", "hook-file", "sounds", "fallback", "journal")
    assert changed(intact, findings) == dict.fromkeys(wrong, "bad")
    assert str(tmp_path) in findings["hook-loaded"]["found"]


def without_the_include(text: str) -> str:
    return text.replace("#include idtone.conf", "")


def test_a_missing_include(pbx, intact):
    with edited(pbx.asterisk.etc / "extensions.conf", without_the_include):
        findings = examine(pbx)
    assert changed(intact, findings) == {"hook-include": "warning"}


def test_a_hook_that_a_reload_removed(pbx, intact):
    """Its variables survive the reload."""
    with reloaded(pbx, pbx.asterisk.etc / "extensions.conf", without_the_include, "dialplan reload"):
        findings = examine(pbx)
    assert changed(intact, findings) == {"hook-loaded": "bad", "hook-include": "bad"}
    assert "it only has the variables of an earlier one" in findings["hook-loaded"]["found"]
    assert "`#include idtone.conf`" in findings["hook-loaded"]["remedy"]
    assert changed(intact, examine(pbx)) == {}


def test_an_asterisk_that_cannot_say_whether_it_has_the_hook(pbx, intact):
    for module in DIALPLAN_VIEW:
        assert "Unloaded" in pbx.asterisk.command(f"module unload {module}.so")
    findings = examine(pbx)
    assert changed(intact, findings) == {"hook-loaded": "unknown"}
    assert follow(pbx, findings["hook-loaded"]["remedy"]) == [f"Loaded {module}" for module in reversed(DIALPLAN_VIEW)]
    assert changed(intact, examine(pbx)) == {}


def test_places_where_asterisk_ignores_the_hooks_result(pbx, intact):
    etc = pbx.asterisk.etc
    (etc / "mine").mkdir()
    (etc / "mine" / "more.conf").write_text(f"[more]\nexten = 1,1,Queue(support,,,,,,idtone-called^{SUSPENDED})\n")
    (etc / "queues.conf").write_text("[support]\nmembergosub = idtone-called\n")
    try:
        with edited(etc / "extensions.conf", lambda text: f"{text}\n#include mine/*.conf\n"):
            findings = examine(pbx)
            run(pbx)  # the table for people has no number either
    finally:
        shutil.rmtree(etc / "mine")
        (etc / "queues.conf").unlink()
    assert changed(intact, findings) == {"hook-use": "bad"}
    assert findings["hook-use"]["found"] == (
        f"{etc}/mine/more.conf, line 2: the Gosub() of Queue(); {etc}/queues.conf, line 2: membergosub of a queue"
    )


# -- sounds, registry, ledger -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change", "topic", "found"),
    [
        ("sample.ulaw", lambda text: text[:-1] + chr(ord(text[-1]) ^ 1), "sounds", "not as the profile says"),
        ("sample.ulaw", lambda text: text[:800], "sounds", "not as the profile says"),
        ("notice.sln", None, "sounds", "missing"),
        ("fallback.conf", None, "fallback", "is missing"),
        (
            "fallback.conf",
            lambda text: text.replace("81312345677", "81312345678"),
            "fallback",
            "differs from the registry",
        ),
        ("fallback.conf", lambda text: text.replace("= notice", "= refuse"), "fallback", "differs from the registry"),
    ],
)
def test_a_file_that_is_damaged_or_missing(pbx, intact, name, change, topic, found):
    with edited(pbx.asterisk.sounds / name, change):
        findings = examine(pbx)
    assert changed(intact, findings) == {topic: "bad"}
    assert found in findings[topic]["found"]
    assert name in findings[topic]["found"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text.replace("expires: 2036-11-01", "expires: 2026-11-02"), {"registry-fresh": "bad"}),
        (lambda text: text.replace("issued: 2026-11-01", "issued: 2035-11-01"), {"registry": "bad"}),
        (lambda text: text.replace("status: active", "status: revoked"), {"registry-licences": "warning"}),
        (lambda text: text.replace("sample", "standard"), {"registry-sounds": "bad"}),
        (
            lambda text: text.replace('"0352345678"', '"0352345678", "0312345700"'),
            {"registry": "bad"}
            | dict.fromkeys(("registry-fresh", "registry-licences", "registry-sounds", "fallback"), "unknown"),
        ),
        (lambda text: text.replace('"0312345677"', '"0312345676"'), {"fallback": "bad"}),
    ],
)
def test_a_faulty_registry(pbx, intact, tmp_path, change, expected):
    path = tmp_path / "registry.yaml"
    path.write_text(change(LAB_REGISTRY.read_text()))
    assert path.read_text() != LAB_REGISTRY.read_text()
    assert changed(intact, examine(pbx, REGISTRY_SOURCE=path)) == expected
    run(pbx, REGISTRY_SOURCE=path)  # the table for people has no number either


@pytest.mark.parametrize(
    "policy", [{"POLICY_CALLER_HEARS": "answered"}, {"POLICY_FALLBACK": "refuse"}, {"POLICY_REFUSE_CAUSE": "17"}]
)
def test_fallback_conf_with_another_policy(pbx, intact, policy):
    assert changed(intact, examine(pbx, **policy)) == {"fallback": "bad"}


def test_faulty_profiles(pbx, intact, tmp_path):
    (tmp_path / "mine.yaml").write_text("id: mine\n")
    findings = examine(pbx, SOUNDS_PROFILES=tmp_path)
    unknown = dict.fromkeys(
        ("asterisk-modules", "hook-loaded", "hook-file", "registry-sounds", "sounds-readable"), "unknown"
    )
    assert changed(intact, findings) == {"sounds": "bad"} | unknown
    assert "mine.yaml" in findings["sounds"]["found"]


def test_a_key_that_other_users_can_read(pbx, intact):
    key = pbx.ledger.with_name("ledger.key")
    key.chmod(0o644)
    try:
        findings = examine(pbx)
    finally:
        key.chmod(0o600)
    assert changed(intact, findings) == {"ledger-key": "bad"}
    assert findings["ledger-key"]["remedy"] == f"chmod 600 {key}"


def test_a_missing_key(pbx, intact):
    with edited(pbx.ledger.with_name("ledger.key"), None):
        findings = examine(pbx)
    assert changed(intact, findings) == {"ledger-key": "bad"}
    assert "missing" in findings["ledger-key"]["found"]


def test_a_file_that_is_not_a_ledger(pbx, intact, tmp_path):
    (tmp_path / "notes").write_text("no database\n" * 100)
    findings = examine(pbx, LEDGER_URL=f"sqlite:///{tmp_path}/notes")
    assert changed(intact, findings) == {
        "ledger": "bad",
        "ledger-reserve": "warning",
        "ledger-signed": "unknown",
        "service": "bad",
        "service-application": "warning",
    }
    for url, topic, state in (
        ("mysql://me:secret@host/ledger", "ledger", "bad"),
        ("postgresql://me:secret@host/ledger", "ledger-postgresql", "warning"),
    ):
        findings = examine(pbx, LEDGER_URL=url, LEDGER_SPOOL=pbx.ledger)
        assert findings[topic]["state"] == state
        assert "secret" not in json.dumps(findings)


def test_a_ledger_that_was_restored_from_an_older_copy(pbx, intact):
    """The last signed tree is not a prefix of this one."""
    key = Signer("lab/idtone", (pbx.ledger.with_name("ledger.key.sign")).read_bytes())
    text = Checkpoint("lab/idtone", 10**6, bytes(32)).text
    seen = pbx.ledger.with_name("ledger.key.other")
    seen.write_text(str(Note(text, (key.sign(text),))))
    findings = examine(pbx, LEDGER_SEEN_FILE=seen)
    assert changed(intact, findings) == {"ledger-signed": "bad"}
    assert "1000000 were signed" in findings["ledger-signed"]["found"]


def test_a_full_disk(pbx, intact, tmp_path):
    """A small file system that other processes do not see."""
    private = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-rm")
    mount = ("sh", "-c", f'mount -t tmpfs -o size=2m none {tmp_path} && exec "$@"', "sh")
    if subprocess.run([*private, *mount, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    findings = examine(pbx, prefix=(*private, *mount), LEDGER_URL=f"sqlite:///{tmp_path}/ledger.sqlite3")
    assert changed(intact, findings) == {
        "ledger": "warning",
        "ledger-room": "bad",
        "ledger-reserve": "warning",
        "service": "bad",
        "service-application": "warning",
        **dict.fromkeys(WRITABLE, "unknown"),  # the service's user is not known
    }
    assert "2 MiB free" in findings["ledger-room"]["found"]


def test_another_user_learns_what_could_not_be_checked(pbx, intact):
    """The doctor runs neither as root nor as the service's user."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    unseen = ("hook-file", "fallback", "journal", "service", *WRITABLE, *LEDGER)
    expected = dict.fromkeys(unseen, "unknown")
    assert changed(intact, examine(pbx, prefix=nobody, ARI_PASSWORD=pbx.asterisk.ari_password)) == expected


# -- the service ----------------------------------------------------------------------------------------------------


def test_the_settings_cannot_be_used(pbx, tmp_path):
    (tmp_path / "idtone.yaml").write_text("ari: {user: [1]}\n")
    ended = subprocess.run(
        [IDTONE, "doctor", "-c", tmp_path / "idtone.yaml", "--json"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "ari.user" in ended.stderr


def test_a_service_that_hangs(pbx, intact):
    assert pbx.process
    pbx.process.send_signal(signal.SIGSTOP)
    try:
        findings = examine(pbx)
    finally:
        pbx.process.send_signal(signal.SIGCONT)
        recovered(pbx, intact)
    assert changed(intact, findings) == {"agi": "bad"}
    assert "timed out" in findings["agi"]["found"]


def test_another_program_has_the_address_of_agi(pbx, intact):
    with socket.create_server(("127.0.0.1", 0)) as other:
        host, port = other.getsockname()

        def greet() -> None:
            with other.accept()[0] as caller:
                caller.sendall(b"220 ready\r\n")
                caller.recv(4096)

        greeter = threading.Thread(target=greet)
        greeter.start()
        findings = examine(pbx, AGI_LISTEN=f"{host}:{port}")
        greeter.join()
    assert changed(intact, findings) == {"agi": "bad", "hook-loaded": "bad", "hook-file": "bad"}
    assert "another program" in findings["agi"]["found"]


def test_the_service_is_stopped(pbx, intact):
    pbx.stop()
    try:
        findings = examine(pbx)
        code, output = run(pbx)
    finally:
        pbx.start()
    assert changed(intact, findings) == {"service": "bad", "service-application": "bad", "agi": "bad"}
    assert "Connection refused" in findings["agi"]["found"]
    assert code == 1
    assert "→ systemctl start idtone; or: idtone serve" in output
    assert changed(intact, examine(pbx)) == {}
