"""`idtone doctor` on a real PBX: first without a fault, then with one real fault after the other.

Each test names the findings that differ from those of the correct PBX. No other finding may differ.
"""

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from idtone.call_control.journal_reader import READ
from idtone.cli import app
from idtone.core.signed_notes import Note, Signer
from idtone.core.terminal import command_line
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.operations.doctor.asterisk_modules import CDR, DIALPLAN_VIEW, loading_order, needed_modules
from idtone.operations.doctor.checks import LEDGER
from idtone.operations.doctor.findings import TOPICS
from idtone.operations.doctor.shared_file_checks import WRITABLE
from lab.asterisk import IDTONE, MODULES, Asterisk
from lab.lab import SUSPENDED
from lab.nightly_tests import rest_at_night, rest_in_breadth
from lab.operations.doctor.run_doctor import OF_THE_MACHINE, Findings, edited_file, examine, modules_conf, run
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.site import BARE

SEEN_OVER_ARI = {
    "asterisk-version", "asterisk-modules", "ari-rights", "ari-exposure", "cdr", "clock-asterisk",
    "hook-loaded", "service-application", "sounds-readable", "journal", "open-files",
    "cel", "endpoint-channels",
}  # fmt: skip
OTHER_HOOK = dict.fromkeys(("hook-loaded", "hook-file"), "bad")
NO_ARI = {"ari": "bad"} | dict.fromkeys(SEEN_OVER_ARI, "unknown")
IN_ITS_FOLDER = {"live-dangerously", "ari-origins", "hook-file", "hook-include", "hook-use"}


@pytest.fixture(scope="module")
def intact(pbx: Service) -> Findings:
    return examine(pbx)


def changed(intact: Findings, broken: Findings) -> dict[str, str]:
    return {
        topic: finding["state"]
        for topic, finding in broken.items()
        if finding["state"] != intact[topic]["state"] and topic not in OF_THE_MACHINE
    }


def recovered(service: Service, intact: Findings, within_s: float = 60) -> None:
    """Wait until the service is connected to Asterisk again, so that the next test has a correct PBX."""
    deadline_s = time.monotonic() + within_s
    while broken := changed(intact, examine(service)):
        assert time.monotonic() < deadline_s, broken


@contextmanager
def reloaded(service: Service, command: str) -> Iterator[None]:
    """Reload Asterisk after the block, when its changed files are restored."""
    try:
        yield
    finally:
        service.asterisk.command(command)


def follow(service: Service, remedy: str, asterisk: Asterisk | None = None) -> list[str]:
    """Run the commands of a remedy in order, and return Asterisk's output for each."""
    commands = re.findall(r"asterisk -rx '([^']*)'", remedy)
    assert commands, remedy
    return [(asterisk or service.asterisk).command(command).strip() for command in commands]


# -- intact ------------------------------------------------------------------------------------------------------


def test_a_correct_pbx_is_good_and_stays_unchanged(pbx, intact):
    def trace() -> Mapping[Path, tuple[int, int] | None]:
        folders = (pbx.asterisk.etc, pbx.asterisk.sounds, pbx.asterisk.sounds / "journal", pbx.ledger.parent)
        paths = [path for folder in folders for path in folder.iterdir()]
        return {
            path: None
            if path.is_dir() or path.name == READ or path.suffix == ".reserve"
            else (path.stat().st_mtime_ns, path.stat().st_size)
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
    _, output = run(pbx, "--json", "--problems")
    assert {finding["id"] for finding in json.loads(output)} == not_good


# -- faults of files, several at once -----------------------------------------------------------------------------


def damaged(text: str) -> str:
    return text[:-1] + chr(ord(text[-1]) ^ 1)


def instead(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


ROUNDS = [
    # file, its change (None: it is removed) or its mode, topic, state, what the finding or its remedy says
    [
        ("etc/ari.conf", instead("enabled = yes", "enabled = yes\nallowed_origins = *"), "ari-origins", "warning", ""),
        ("etc/idtone.conf", instead("(absolute)=3", "(absolute)=9"), "hook-file", "bad", "changed after its export"),
        ("etc/extensions.conf", instead("#include idtone.conf", ""), "hook-include", "warning", "#include"),
        ("sounds/sample.ulaw", damaged, "sounds", "bad", "sample.ulaw"),
        ("ledger.key", None, "ledger-key", "bad", "missing"),
        ("ari.password", 0o644, "ari-password", "bad", "chmod 600 "),
    ],
    [
        ("etc/ari.conf", lambda text: f"{text}read_only = yes\n", "ari-rights", "bad", "`read_only = no`"),
        ("sounds/sample.ulaw", lambda text: text[:800], "sounds", "bad", "not as the profile says"),
        ("ledger.key", 0o644, "ledger-key", "bad", "chmod 600 "),
    ],
    [("sounds/notice.sln", None, "sounds", "bad", "missing")],
]


@pytest.mark.parametrize("faults", ROUNDS)
def test_each_faulty_file_has_its_finding(pbx, intact, faults):
    places = {"etc": pbx.asterisk.etc, "sounds": pbx.asterisk.sounds, "ledger.key": pbx.ledger.with_name("ledger.key")}
    with reloaded(pbx, "module reload res_ari.so"), ExitStack() as broken:
        for file, change, *_ in faults:
            folder, _, name = file.partition("/")
            path = places.get(folder, pbx.asterisk.scratch / folder) / name
            if isinstance(change, int):
                broken.callback(path.chmod, 0o600)
                path.chmod(change)
            else:
                broken.enter_context(edited_file(path, change))
        pbx.asterisk.command("module reload res_ari.so")
        findings = examine(pbx)
    assert changed(intact, findings) == {topic: state for _, _, topic, state, _ in faults}
    for _, _, topic, _, text in faults:
        assert text in findings[topic]["found"] + findings[topic]["remedy"]


@rest_at_night(
    ("change", "text"),
    [
        (None, "is missing"),
        (lambda text: text[:-2], "is cut or was changed"),
        (instead("81312345677", "81312345678"), "is cut or was changed"),
        (instead("registry = 42", "registry = 41"), "is of version 41 of the registry, which is at version 42"),
    ],
)
def test_the_suspended_numbers_while_the_service_cannot_write_them(pbx, intact, change, text):
    """A running service would rewrite the file within a second."""
    pbx.process.send_signal(signal.SIGSTOP)
    try:
        with edited_file(pbx.asterisk.sounds / "fallback.conf", change):
            findings = examine(pbx, "--asterisk-etc", str(pbx.asterisk.etc))
    finally:
        pbx.process.send_signal(signal.SIGCONT)
        recovered(pbx, intact)
    assert changed(intact, findings) == {"agi": "bad", "fallback": "bad"}
    assert text in findings["fallback"]["found"]
    assert "idtone registry update" in findings["fallback"]["remedy"]


# -- other settings -----------------------------------------------------------------------------------------------


@pytest.mark.nightly
def test_settings_that_do_not_fit_asterisk(pbx, intact, tmp_path):
    (tmp_path / "mine.yaml").write_text("id: mine\n")
    nowhere, address = pbx.ledger.with_name("none"), pbx.asterisk.ari_url.removesuffix("/ari")
    without_profiles = ("asterisk-modules", "hook-loaded", "hook-file", "registry-sounds", "sounds-readable")
    for settings, expected, topic, *texts in (
        # The lab's hook uses AGI, with a secret that is derived from the ARI password.
        (
            {"ARI_PASSWORD": pbx.asterisk.ari_password[::-1]},
            NO_ARI | {"hook-file": "bad"},
            "ari",
            "401",
            "[idtone]",
        ),
        (
            {"ARI_PASSWORD_FILE": nowhere},
            NO_ARI | {"ari": "unknown", "ari-password": "bad", "hook-file": "unknown"},
            "ari-password",
            str(nowhere),
        ),
        ({"ARI_URL": "http://localhost:1/ari"}, NO_ARI, "ari", "http.conf"),
        ({"ARI_URL": address}, NO_ARI, "ari", f"at {address}", f"`ari: {{url: '{address}/ari'}}`"),
        (
            {"SOUNDS_DIRECTORY": tmp_path},
            dict.fromkeys(("hook-loaded", "hook-file", "sounds", "fallback", "journal"), "bad"),
            "hook-loaded",
            str(tmp_path),
        ),
        ({"POLICY_CALLER_HEARS": "answered"}, OTHER_HOOK, "hook-file", "dialplan export"),
        ({"POLICY_FALLBACK": "refuse"}, OTHER_HOOK, "hook-file", "dialplan export"),
        ({"POLICY_REFUSE_CAUSE": "17"}, OTHER_HOOK, "hook-file", "dialplan export"),
        (
            {"SOUNDS_PROFILES": tmp_path},
            {"sounds": "bad"} | dict.fromkeys(without_profiles, "unknown"),
            "sounds",
            "mine.yaml",
        ),
    ):
        findings = examine(pbx, "--asterisk-etc", str(pbx.asterisk.etc), **settings)
        assert changed(intact, findings) == expected, settings
        for text in texts:
            assert text in findings[topic]["found"] + findings[topic]["remedy"], settings
    findings = examine(pbx, ARI_URL="http://localhost:1/ari")
    assert changed(intact, findings) == NO_ARI | dict.fromkeys(IN_ITS_FOLDER, "unknown"), "its folder is not known"


@rest_in_breadth(
    ("changes", "expected"),
    [
        (
            {"expires: 2036-11-01": "expires: 2026-11-02", "sample": "standard", '"0312345677"': '"0312345676"'},
            dict.fromkeys(("registry-fresh", "registry-sounds", "fallback"), "bad"),
        ),
        (
            {"issued: 2026-11-01": "issued: 2035-11-01", "status: active": "status: revoked"},
            {"registry": "bad", "registry-licences": "warning", "fallback": "bad"},
        ),
        (
            {'"0112345600-0112345699"': '"0112345600-0112345699", "0312345700"'},
            {"registry": "bad"}
            | dict.fromkeys(
                (
                    "registry-fresh", "registry-member", "registry-never-originates", "registry-certifications",
                    "registry-licences", "registry-sounds", "fallback",
                ),
                "unknown",
            ),
        ),
    ],
)  # fmt: skip
def test_a_faulty_registry(pbx, intact, tmp_path, changes, expected):
    path, text = tmp_path / "registry.yaml", LAB_REGISTRY.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    assert changed(intact, examine(pbx, REGISTRY_SOURCE=path)) == expected
    run(pbx, REGISTRY_SOURCE=path)  # the table for people has no number either


# -- Asterisk -----------------------------------------------------------------------------------------------------


@pytest.mark.nightly
@pytest.mark.parametrize("hangs", ["asterisk", "service"])
def test_what_hangs_is_found_within_ten_seconds(pbx, intact, hangs):
    process = pbx.asterisk.process if hangs == "asterisk" else pbx.process
    process.send_signal(signal.SIGSTOP)
    try:
        started_s = time.monotonic()
        findings = examine(pbx, "--asterisk-etc", str(pbx.asterisk.etc))
        took_s = time.monotonic() - started_s
    finally:
        process.send_signal(signal.SIGCONT)
        recovered(pbx, intact)
    assert changed(intact, findings) == (NO_ARI if hangs == "asterisk" else {"agi": "bad"})
    assert hangs == "asterisk" or "timed out" in findings["agi"]["found"]
    assert took_s < 10


def test_remedies_load_the_missing_modules(pbx, intact):
    unloaded = ("func_cut", "format_gsm", CDR, *DIALPLAN_VIEW)
    for module in unloaded:
        assert "Unloaded" in pbx.asterisk.command(f"module unload {module}.so")
    findings = examine(pbx)
    assert changed(intact, findings) == {"asterisk-modules": "bad", "cdr": "warning", "hook-loaded": "unknown"}
    assert findings["asterisk-modules"]["found"] == "not running: format_gsm, func_cut"
    done = [follow(pbx, findings[topic]["remedy"]) for topic in ("asterisk-modules", "cdr", "hook-loaded")]
    assert {answer for answers in done for answer in answers} == {f"Loaded {module}" for module in unloaded}
    assert done[2] == [f"Loaded {module}" for module in reversed(DIALPLAN_VIEW)]
    assert changed(intact, examine(pbx)) == {}


@pytest.mark.breadth
def test_ari_without_the_module_that_answers_and_the_remedy_loads_it(pbx, intact):
    assert "Unloaded" in pbx.asterisk.command("module unload res_ari_asterisk.so")
    findings = examine(pbx, "--asterisk-etc", str(pbx.asterisk.etc))
    try:
        assert changed(intact, findings) == NO_ARI
        assert "404" in findings["ari"]["found"]
    finally:
        follow(pbx, findings["ari"]["remedy"])
    recovered(pbx, intact)


@pytest.mark.breadth
def test_the_cdr_engine_is_disabled_and_the_remedy_enables_it(pbx, intact):
    path, reload = pbx.asterisk.etc / "cdr.conf", "module reload cdr"
    with reloaded(pbx, reload), edited_file(path, lambda text: "[general]\nenable = no\n"):
        pbx.asterisk.command(reload)
        findings = examine(pbx)
        remedy = findings["cdr"]["remedy"]
        assert remedy.startswith(f"In {path}, [general]: `enable = yes`; then ")
        path.write_text("[general]\nenable = yes\n")
        follow(pbx, remedy)
        assert re.search(r"Logging: +Enabled", pbx.asterisk.command("cdr show status"))
    assert changed(intact, findings) == {"cdr": "warning"}


@pytest.mark.nightly
def test_an_asterisk_with_the_faults_that_need_a_start(installation, tmp_path, pbx, intact):
    """Asterisk has ARI but none of the hook's modules.

    The remedy loads the modules in an order that works.
    """
    asked = loading_order(("res_ari_asterisk", *DIALPLAN_VIEW))
    unwanted = {*loading_order(needed_modules(pbx.asterisk.etc.joinpath("idtone.conf").read_text())), CDR} - {*asked}
    files = modules_conf(*(name for name in MODULES if name not in unwanted), *asked) | {
        "extensions.conf": "[from-lab]\nexten = _X.,1,Hangup()\n",
        "http.conf": "[general]\nenabled = yes\nbindaddr = 0.0.0.0\nbindport = {port}\n",
    }
    asterisk = Asterisk(installation, tmp_path, files, site=BARE)
    files["http.conf"] = files["http.conf"].format(port=asterisk.http_port)
    settings = {
        "ARI_URL": asterisk.ari_url,
        "ARI_PASSWORD": asterisk.ari_password,
        "SOUNDS_DIRECTORY": asterisk.sounds,
        "AGI_LISTEN": f"127.0.0.1:{asterisk.agi_port}",
    }
    with (
        asterisk,
        edited_file(asterisk.etc / "asterisk.conf", lambda text: f"{text}\n[options]\nlive_dangerously = yes\n"),
    ):
        findings = examine(pbx, **settings)
        missing = findings["asterisk-modules"]
        assert len(missing["found"].split(", ")) > 25, "the test needs many modules"
        answers = follow(pbx, missing["remedy"], asterisk)
        assert [answer for answer in answers if not answer.startswith("Loaded ")] == []
        assert examine(pbx, **settings)["asterisk-modules"]["state"] == "good"
    faults = (
        "asterisk-modules live-dangerously hook-loaded hook-include sounds fallback journal service-application agi"
    )
    assert changed(intact, findings) == dict.fromkeys(faults.split(), "bad") | {
        "ari-exposure": "warning",
        "cdr": "warning",
    }
    assert findings["hook-loaded"]["found"] == "Asterisk has not loaded the hook"
    assert "0.0.0.0" in findings["ari-exposure"]["found"]
    assert "missing" in findings["sounds"]["found"]


# -- by Asterisk's console, and by its process ---------------------------------------------------------------------


def test_the_version_and_the_limit_are_seen_without_ari(pbx, intact, tmp_path, monkeypatch):
    """First ARI does not answer.

    Then Asterisk is not running either, and its program gives the version.
    """
    monkeypatch.setenv("PATH", pbx.asterisk.in_path(tmp_path))
    findings = examine(pbx, "--asterisk-etc", str(pbx.asterisk.etc), ARI_URL="http://localhost:1/ari")
    seen = {"asterisk-version", "open-files"}
    assert changed(intact, findings) == {topic: state for topic, state in NO_ARI.items() if topic not in seen}
    assert [findings[topic]["found"] for topic in seen] == [intact[topic]["found"] for topic in seen]

    other = tmp_path / "etc"
    other.mkdir()
    findings = examine(pbx, "--asterisk-etc", str(other), ARI_URL="http://localhost:1/ari")
    assert pbx.asterisk.installation.version in findings["asterisk-version"]["found"]
    assert findings["open-files"]["state"] == "unknown"


def test_the_limit_of_open_files_of_the_running_asterisk(pbx, intact):
    process = pbx.asterisk.process.pid
    before = resource.prlimit(process, resource.RLIMIT_NOFILE)
    conf = pbx.asterisk.etc / "asterisk.conf"
    try:
        resource.prlimit(process, resource.RLIMIT_NOFILE, (1024, before[1]))
        findings = examine(pbx)
        with edited_file(conf, lambda text: f"{text}\n[options]\nmaxcalls = 90\n"):
            assert examine(pbx)["open-files"]["found"] == "1024 open files carry 98 calls"
    finally:
        resource.prlimit(process, resource.RLIMIT_NOFILE, before)
    assert changed(intact, findings) == {"open-files": "warning"}
    assert findings["open-files"]["found"] == "1024 open files carry 98 calls, 600 are wanted"
    assert "`LimitNOFILE=65536`" in findings["open-files"]["remedy"]


# -- the hook -----------------------------------------------------------------------------------------------------


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


def test_a_hook_that_a_reload_removed(pbx, intact):
    """The variables of the hook survive the reload."""
    path, without = pbx.asterisk.etc / "extensions.conf", instead("#include idtone.conf", "")
    with reloaded(pbx, "dialplan reload"), edited_file(path, without):
        pbx.asterisk.command("dialplan reload")
        findings = examine(pbx)
    assert changed(intact, findings) == {"hook-loaded": "bad", "hook-include": "bad"}
    assert "it only has the variables of an earlier one" in findings["hook-loaded"]["found"]
    assert "`#include idtone.conf`" in findings["hook-loaded"]["remedy"]


@pytest.mark.breadth
def test_places_where_asterisk_ignores_the_hooks_result(pbx, intact):
    etc = pbx.asterisk.etc
    (etc / "mine").mkdir()
    (etc / "mine" / "more.conf").write_text(f"[more]\nexten = 1,1,Queue(support,,,,,,idtone-called^{SUSPENDED})\n")
    (etc / "queues.conf").write_text("[support]\nmembergosub = idtone-called\n")
    try:
        with edited_file(etc / "extensions.conf", lambda text: f"{text}\n#include mine/*.conf\n"):
            findings = examine(pbx)
            run(pbx)  # the table for people has no number either
    finally:
        shutil.rmtree(etc / "mine")
        (etc / "queues.conf").unlink()
    assert changed(intact, findings) == {"hook-use": "bad"}
    assert findings["hook-use"]["found"] == (
        f"{etc}/mine/more.conf, line 2: the Gosub() of Queue(); {etc}/queues.conf, line 2: membergosub of a queue"
    )


# -- the ledger -----------------------------------------------------------------------------------------------------


@pytest.mark.breadth
def test_a_file_that_is_not_a_ledger(pbx, intact, tmp_path):
    (tmp_path / "notes").write_text("no database\n" * 100)
    findings = examine(pbx, LEDGER_URL=f"sqlite:///{tmp_path}/notes")
    assert changed(intact, findings) == {
        "ledger": "bad",
        "ledger-reserve": "warning",
        "ledger-signed": "unknown",
        "ledger-holds": "unknown",
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
    """The last signed tree is larger than the tree in this ledger."""
    key = Signer("lab/idtone", (pbx.ledger.with_name("ledger.key.sign")).read_bytes())
    text = Checkpoint("lab/idtone", 10**6, bytes(32)).text
    seen = pbx.ledger.with_name("ledger.key.other")
    seen.write_text(str(Note(text, (key.sign(text),))))
    findings = examine(pbx, LEDGER_SEEN_FILE=seen)
    assert changed(intact, findings) == {"ledger-signed": "bad"}
    assert "1000000 were signed" in findings["ledger-signed"]["found"]


@pytest.mark.breadth
def test_a_full_disk(pbx, intact, tmp_path):
    """The disk is a small file system that other processes cannot see."""
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


@pytest.mark.nightly
def test_another_user_learns_what_could_not_be_checked(pbx, intact):
    """The doctor runs neither as root nor as the service's user."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    of_the_service = ("hook-file", "fallback", "journal", "brake", "own-suspensions", "ledger-holds", "service")
    unseen = (*of_the_service, *WRITABLE, *LEDGER)
    expected = dict.fromkeys(unseen, "unknown")
    assert changed(intact, examine(pbx, prefix=nobody, ARI_PASSWORD=pbx.asterisk.ari_password)) == expected


# -- the service ----------------------------------------------------------------------------------------------------


def test_the_settings_cannot_be_used(tmp_path, capsys):
    (tmp_path / "idtone.yaml").write_text("ari: {user: [1]}\n")
    with pytest.raises(SystemExit) as ended:
        command_line.run(lambda: app(["doctor", "-c", str(tmp_path / "idtone.yaml"), "--json"]))
    out, err = capsys.readouterr()
    assert (ended.value.code, out, "ari.user" in err) == (2, "", True)


@pytest.mark.breadth
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
    table = " ".join(output.split())
    lacking = {str(topic.looked_at) for topic in TOPICS.values() if topic.looked_at not in table}
    assert lacking == set(), "people get a table"
    assert "\x1b" not in output, "without colours"
    assert re.search(r"^\d+ good", output.splitlines()[-1])


@pytest.mark.breadth
def test_endpoints_of_the_pbx_that_the_table_of_lines_does_not_have(pbx, tmp_path):
    table = tmp_path / "numbers.yaml"
    table.write_text(
        "lines: [{customer: c-1, endpoints: [lab, wide, compressed, fax, framed30, framed40, nat, asserting], "
        "numbers: ['0312345678', '0399999999']}]"
    )
    findings = examine(pbx, LINES_SOURCE=table, ASSOCIATION_MEMBER="m-0001", POLICY_EMERGENCY_TRUNKS="video")
    assert {
        topic: findings[topic]["state"] for topic in ("lines", "lines-members", "lines-endpoints")
    } == dict.fromkeys(("lines", "lines-members", "lines-endpoints"), "warning")
    assert "1 customers, 8 lines, 2 numbers" in findings["lines"]["found"]
    assert "1 of their numbers" in findings["lines-members"]["found"]
    assert findings["lines-endpoints"]["found"] == "anonymous"
    assert findings["lines-fallback"]["state"] == "bad", "no service has written it"
