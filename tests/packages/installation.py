"""The Debian packages, in fresh Debians with a real systemd and a real Asterisk: `make test-packages`.

The tests of a release run one after the other on one machine: install, fill in the settings, start, upgrade, remove,
purge.
"""

import asyncio
import json
import re
import shlex
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import idtone
from lab.asterisk import Ending
from lab.calls.traffic import heard_profile, traffic
from lab.lab import LICENSED, lab, wait_until
from lab.machine.machine import Machine, MachineFailed
from lab.machine.next_version import make_next
from lab.machine.pbx import SOUNDS, PbxInMachine
from lab.publication import LAB_REGISTRY, MEMBER
from lab.repository import ROOT

NEXT = f"{idtone.__version__}+next"
AS_SETUP_WRITES_THEM = """
from importlib.resources import files
from pathlib import Path
from idtone.operations.setup.plan_setup import PACKAGED_UNIT_FILE, REGISTRY_UNIT, TIMER, packaged_settings
from idtone.operations.setup.unit_file import unit_file
shipped, settings, sounds = files("idtone.config"), Path("/etc/idtone/idtone.yaml"), Path("SOUNDS")
print(settings.read_text() == packaged_settings())
for name in (PACKAGED_UNIT_FILE.name, REGISTRY_UNIT):
    unit = unit_file((shipped / name).read_text(), Path("/usr/bin/idtone"), settings, "idtone", "asterisk", sounds)
    print(PACKAGED_UNIT_FILE.with_name(name).read_text() == unit)
print(PACKAGED_UNIT_FILE.with_name(TIMER).read_text() == (shipped / TIMER).read_text())
""".replace("SOUNDS", str(SOUNDS))
ENVIRONMENT = "/opt/venvs/idtone"
SIGN_IN = "http://127.0.0.1:8720/sign-in"
LACKING = {"console": "idtone-console", "tone generate notice -o /srv/tones": "idtone-sounds"}
"""Command that a node's package alone cannot run → package that it lacks."""
OWNED = {
    "idtone": [
        "/usr/bin/idtone",
        "/usr/bin/idtone-agi",
        "/usr/bin/idtone-failed",
        "/usr/share/man/man1/idtone-ledger.1.gz",
        *(
            file.format(program)
            for program in ("idtone-evidence", "idtone-fleet")
            for file in (
                "/usr/bin/{}",
                "/usr/share/man/man1/{}.1.gz",
                "/usr/share/bash-completion/completions/{}",
            )
        ),
    ],
    "idtone-sounds": ["/usr/share/man/man1/idtone-tone.1.gz", "/usr/share/man/ja/man1/idtone-tone.1.gz"],
    "idtone-office": [
        "/usr/bin/idtone-office",
        "/usr/share/man/man1/idtone-office.1.gz",
        "/usr/share/bash-completion/completions/idtone-office",
        "/usr/share/doc/idtone-office/examples/pledge.md",
    ],
    "idtone-console": ["/usr/share/man/man1/idtone-console.1.gz"],
}
LIBRARIES = {
    "argon2",
    "authlib",
    "jinja2",
    "numpy",
    "pkcs11",
    "psycopg",
    "pymysql",
    "reportlab",
    "rfc3161_client",
    "webauthn",
}
AS_SERVICE = ("runuser", "-u", "idtone", "--")
ALLOWED_BY_SUDO = (
    *("idtone ledger list --limit 1", "idtone ledger list -f --json", "idtone ledger show CALL --json"),
    "idtone ledger find --sip-call-id a84b4c76@192.0.2.7 --since 2d --until=1d",
    "idtone ledger export CALL --case R-2 --basis warrant --court 見本簡易裁判所 --valid-until 2026-12-03 "
    "--authority 見本警察署 --reference 捜発第118号 --scope 'calls of two days' "
    "--received 2026-11-26T10:00+09:00 --deadline=2026-12-01",
    "idtone ledger export --request ID --stdout",
    *("idtone-evidence disclosure approve ID", "idtone-evidence disclosure refuse ID --why 'too wide'"),
    "idtone-evidence disclosure deliver - --stdout",
    "idtone-evidence disclosure receipt - --by '見本警察署 係長' --on 2026-11-27 --scan /var/tmp/scan.pdf",
    "idtone-evidence disclosure confirm ID --reference 'No. 119' --on 2026-11-28",
    *("idtone-evidence disclosure list --year 2026 --csv", "idtone-evidence disclosure list --overdue"),
    *("idtone-evidence disclosure requests", "idtone-evidence log key"),
)
"""Commands that an officer runs by the page."""
REFUSED_BY_SUDO = (
    *("idtone serve", "idtone registry update", "idtone ledger verify", "idtone -c /srv/own.yaml ledger list"),
    *(
        f"idtone ledger list {smuggled}"
        for smuggled in (
            *("-c /srv/own.yaml", "-c/srv/own.yaml", "-fc /srv/own.yaml", "--config=/srv/own.yaml"),
            *("--limit 1 --config /srv/own.yaml", "--ledger /srv/own.sqlite3", "--keys pbx=/srv/own.key"),
            *("--json -- --config /srv/own.yaml", "'' -c /srv/own.yaml", "' -c' /srv/own.yaml"),
        )
    ),
    *(
        f"idtone ledger export --request R-1 {smuggled}"
        for smuggled in (
            *("-o /var/lib/idtone/ledger.key", "-o/srv/pack.zip", "--output /srv/pack.zip", "'-o - -c x'"),
            *("-o '- /../../srv/x'", "'-o - /../../srv/x'", "-o -"),
        )
    ),
    "idtone 'ledger list\n-c' /srv/own.yaml",
    *("idtone-evidence forget --before 2026-01-01", "idtone-evidence log end --why x", "idtone-evidence log keys"),
    "idtone-evidence disclosure list --pdf /srv/index.pdf",
    *(f"idtone-evidence disclosure deliver - {output}" for output in ("-o /srv/x", "-o '- /srv/x'", "'-o - /srv/x'")),
    "IDTONE_CONFIG=/srv/own.yaml idtone ledger list",
    *("sh -c id", "/srv/idtone ledger list"),
)
"""Commands that the page's sudo rules refuse to an officer: other commands, other settings, and the service's files."""


def unit(machine: Machine, of: str, name: str) -> str:
    """Property of a unit, from `systemctl show`."""
    return machine.run("systemctl", "show", "--value", "--property", name, of).strip()


def show(machine: Machine, name: str) -> str:
    """Property of the service."""
    return unit(machine, "idtone", name)


def pages_answer(machine: Machine) -> bool:
    """True if the console serves its sign-in page."""
    return (
        machine.status(
            f"{ENVIRONMENT}/bin/python3",
            "-c",
            "import urllib.request as r; r.urlopen(PAGE)".replace("PAGE", repr(SIGN_IN)),
        )
        == 0
    )


def log(machine: Machine) -> str:
    """Log of the service."""
    return machine.run("journalctl", "--unit", "idtone", "--no-pager", "--output", "cat")


def stat(machine: Machine, path: str | Path) -> str:
    """Mode, user and group of a path."""
    return machine.run("stat", "--format", "%a %U %G", path).strip()


async def evidence(machine: Machine, endings: list[Ending]) -> list[dict[str, Any]]:
    """Records of calls that have just ended. Waits until the service has written the last step of each."""
    found: dict[str, dict[str, Any]] = {}

    def all_complete() -> bool:
        listed = machine.run(*AS_SERVICE, "idtone", "ledger", "list", "--limit", "100000", "--json")
        found.update((each["call_id"], each) for each in json.loads(listed))
        return all(found.get(each.call_id, {}).get("complete") for each in endings)

    await wait_until(all_complete, "the evidence of all calls to be complete")
    return [found[each.call_id] for each in endings]


@pytest.fixture(scope="module")
def upgraded(machine: Machine, all_four: list[Path]) -> list[Path]:
    """The same packages with the version number of the next release."""
    return make_next(machine, all_four, NEXT)


def test_the_package_of_another_release_is_refused(machine, packages, node_package):
    others = [each[0].name for each in packages.values() if each[0].name != node_package.name]
    if not others:
        pytest.skip("RELEASES names one alone")
    for name in others:
        with pytest.raises(MachineFailed, match="python3"):
            machine.install(node_package.with_name(name))
    assert machine.status("test", "-e", "/opt/venvs") == 1


def test_a_node_alone_is_small_and_names_the_packages_that_it_lacks(machine, node_package, showed):
    machine.install(node_package)
    site = machine.run("sh", "-c", f"echo {ENVIRONMENT}/lib/python3*/site-packages").strip()
    listed = machine.run(
        "find", site, "-path", f"{site}/idtone", "-prune", "-o", "-type", "f", "!", "-name", "*.pyc", "-printf", r"%s\n"
    )
    libraries_mb = sum(map(int, listed.split())) / 1e6
    showed(f"its libraries, without what Python compiles of them, have {libraries_mb:.1f} MB")
    assert libraries_mb <= 60
    for command, package in LACKING.items():
        said = machine.run("sh", "-c", f"idtone {command} 2>&1; echo exit $?")
        assert f"apt install ./{package}_{idtone.__version__}*.deb\nexit 2" in said, command
    assert machine.status("test", "-e", "/usr/bin/idtone-office") == 1
    assert machine.run("id", "--groups", "--name", "idtone").split() == ["asterisk"]


def test_each_package_has_what_it_owns(machine, all_four):
    machine.install(*all_four)
    for package, owned in OWNED.items():
        listed = machine.run("dpkg", "--listfiles", package).split()
        assert set(owned) <= set(listed), package
        assert machine.run("dpkg", "--verify", package) == ""
    machine.run("idtone", "tone", "generate", "notice", "-o", "/srv/tones")
    assert machine.run("idtone-office", "--version").strip().endswith(idtone.__version__)
    assert machine.run("id", "--groups", "--name", "idtone").split() == ["asterisk", "idtone-console"]
    machine.run("sh", "-c", f"{ENVIRONMENT}/bin/python3 -c 'import {', '.join(sorted(LIBRARIES))}'")
    assert (unit(machine, "idtone-console", "ActiveState"), unit(machine, "idtone-console", "UnitFileState")) == (
        "inactive",
        "disabled",
    )
    machine.run("apt-get", "purge", "--yes", "idtone-sounds", "idtone-office", "idtone-console")
    assert machine.run("dpkg", "--verify", "idtone") == ""
    assert machine.status("test", "-e", f"{ENVIRONMENT}/bin/idtone-office") == 1


def test_the_package_installs_all_that_the_guide_needs(machine):
    assert machine.run("idtone", "--version").strip().endswith(idtone.__version__)
    assert stat(machine, SOUNDS) == "2750 idtone asterisk"
    assert stat(machine, "/etc/idtone/ari.password") == "600 idtone root"
    assert "/etc/idtone/idtone.yaml" in (machine.root / "var/lib/dpkg/info/idtone.conffiles").read_text()
    assert machine.run("systemctl", "show", "--property", "ExecStart", "idtone").count("/usr/bin/idtone serve") == 1
    completed = "source /usr/share/bash-completion/completions/idtone; COMP_WORDS=(idtone led) COMP_CWORD=1; "
    assert "ledger" in machine.run("bash", "-c", f"{completed} _idtone_completion idtone; echo ${{COMPREPLY[@]}}")
    listed = machine.run("dpkg", "--listfiles", "idtone").split()
    for page in ("idtone.1.gz", "idtone-agi.1.gz", "idtone-failed.1.gz"):
        assert f"/usr/share/man/man1/{page}" in listed
    assert "/usr/bin/idtone-agi" in listed
    assert "/usr/share/idtone/idtone-alerts.yml" in listed
    # So the next tests see that a reload needs no procps.
    assert machine.status("test", "-e", "/usr/bin/kill") == 1


def test_setup_takes_its_settings_and_its_unit_for_its_own(machine):
    """setup fills in the package's settings, and starts the package's unit."""
    assert machine.run("/opt/venvs/idtone/bin/python3", "-c", AS_SETUP_WRITES_THEM).split() == ["True"] * 4


def test_it_does_not_start_before_the_settings_are_filled_in(machine):
    assert (show(machine, "ActiveState"), show(machine, "UnitFileState")) == ("inactive", "disabled")


def test_from_the_package_to_a_sounded_call(machine, pbx: PbxInMachine, all_four, showed):
    """The steps of the guide: two packages, setup, a call. The first test has fetched the dependencies."""
    shutil.copy(LAB_REGISTRY, machine.root / "etc/idtone/registry.yaml")
    pbx.start()
    machine.run("apt-get", "purge", "--yes", "idtone")
    began_s = time.monotonic()
    machine.run("dpkg", "--install", all_four[0], *(each for each in all_four if "sounds" in each.name))
    setup = f"idtone setup --yes --asterisk-etc {pbx.etc}"
    said = machine.run(
        *setup.split(), "--registry", "/etc/idtone/registry.yaml", "--trust", "unsigned", "--member", MEMBER
    )
    said += machine.run("sh", "-c", f"echo {LICENSED} | {setup} --call")
    took_s = time.monotonic() - began_s
    print(said)
    showed(f"from dpkg to the sound in {took_s:.0f} s")
    assert "the called extension received sample (conforms); the hook returned CONNECTED, licence-valid" in said
    assert took_s < 180
    assert "node:" in (machine.root / "etc/idtone/idtone.d/10-setup.yaml").read_text()
    assert json.loads(machine.run("idtone", "status", "--json"))["running"], "root asks the service of another user"
    assert (show(machine, "ActiveState"), show(machine, "UnitFileState")) == ("active", "enabled")


async def test_it_serves_calls(machine, pbx: PbxInMachine, references):
    async with lab(pbx) as phones:
        async with traffic(phones, ["ari"]) as placed:
            await asyncio.sleep(2)
        endings = [await phones.ending(each) for each in placed]
    assert {heard_profile(each, references) for each in placed} == {"sample"}
    assert all(record["sent"] for record in await evidence(machine, endings))
    assert stat(machine, "/var/lib/idtone") == "700 idtone asterisk"


async def test_a_suspension_reaches_asterisk_while_the_service_is_stopped(machine, pbx: PbxInMachine):
    """The timer runs `idtone registry update` as the service's user."""
    registry = machine.root / "etc/idtone/registry.yaml"
    text = registry.read_text()
    machine.run("systemctl", "stop", "idtone")
    assert machine.run("systemctl", "is-active", "idtone-registry.timer").strip() == "active"
    entry = f"\n  - {{number: '{LICENSED}', since: 2026-03-01T00:00:00+09:00, reference: R-9}}\n"
    registry.write_text(text.rstrip() + entry)
    async with lab(pbx) as phones:
        await wait_until(lambda: "81312345678" in machine.run("cat", SOUNDS / "fallback.conf"), "the timer", 180)
        _, ending = await phones.call()
    assert (ending.status, ending.reason) == ("REFUSED", "number-suspended")
    assert stat(machine, SOUNDS / "fallback.conf") == "640 idtone asterisk"
    registry.write_text(text)
    machine.run("systemctl", "start", "idtone")


async def test_the_others_are_installed_beside_a_running_node(machine, all_four):
    """The console, once installed, serves its pages."""
    before = show(machine, "MainPID")
    machine.install(*all_four)
    assert show(machine, "MainPID") == before, "the service has all that it needs"
    machine.run("systemctl", "enable", "--now", "idtone-console")
    await wait_until(lambda: pages_answer(machine), "the console")


async def test_an_upgrade_loses_no_call(machine, pbx, upgraded, references, showed):
    before, console = show(machine, "MainPID"), unit(machine, "idtone-console", "MainPID")
    settings = (machine.root / "etc/idtone/idtone.d/10-setup.yaml").read_text()
    async with lab(pbx) as phones:
        async with traffic(phones, ["ari"]) as placed:
            said = await asyncio.to_thread(machine.install, *upgraded)
            await wait_until(lambda: show(machine, "MainPID") != before, "the next instance")
            await asyncio.sleep(1)
        endings = [await phones.ending(each) for each in placed]
    showed(f"{len(placed)} calls during the upgrade")
    assert {heard_profile(each, references) for each in placed} == {"sample"}, said
    for record in await evidence(machine, endings):
        assert (record["sent"], record["status"]) == (True, "CONNECTED"), record
        assert (record["fallback"], record["anomalies"]) == (False, []), record
    assert machine.run("idtone", "--version").strip().endswith(NEXT)
    assert (show(machine, "ActiveState"), show(machine, "NRestarts")) == ("active", "0")
    assert (machine.root / "etc/idtone/idtone.d/10-setup.yaml").read_text() == settings
    assert "of the next version" in (machine.root / "etc/idtone/idtone.yaml").read_text(), "no question was asked"
    assert machine.run("dpkg", "--audit") == ""
    await wait_until(lambda: pages_answer(machine), "the console of the next version")
    assert unit(machine, "idtone-console", "MainPID") != console


async def test_one_package_cannot_have_another_version(machine, all_four):
    with pytest.raises(MachineFailed):
        machine.install("--no-remove", "--allow-downgrades", all_four[0])
    assert machine.run("dpkg", "--audit") == ""


async def test_a_stop_after_a_reload_waits_for_the_service(machine):
    before = show(machine, "MainPID")
    machine.run("systemctl", "reload", "idtone")
    await wait_until(lambda: show(machine, "MainPID") != before, "the next instance")
    seen = len(log(machine))
    machine.run("systemctl", "stop", "idtone")
    assert "code=killed" not in log(machine)[seen:]
    assert show(machine, "Result") == "success"
    machine.run("systemctl", "start", "idtone")


async def test_another_host_name_changes_nothing(machine, pbx, references):
    machine.run("hostname", "another-name")
    machine.run("systemctl", "restart", "idtone")

    def is_connected() -> bool:
        return bool(json.loads(machine.run("idtone", "status", "--json"))["ari"]["connected"])

    await wait_until(is_connected, "the connection to Asterisk")
    async with lab(pbx) as phones:
        placed, ending = await phones.call()
    assert heard_profile(placed, references) == "sample"
    assert (await evidence(machine, [ending]))[0]["complete"]
    assert json.loads(machine.run("idtone", "status", "--json"))["ledger"]["trouble"] == ""


def test_root_does_not_lock_the_service_out_of_its_registry(machine):
    """`idtone registry update` by root acts as the service's user. The check fails for files that root owns already."""
    cache = "/var/lib/idtone/registry"
    machine.run("idtone", "registry", "update")
    kept = stat(machine, cache)
    assert kept.split()[1] == "idtone", "the service keeps the registries of its decisions there"
    machine.run("chown", "root:root", cache)
    assert machine.status("idtone", "registry", "update") == 2
    machine.run("chown", ":".join(kept.split()[1:]), cache)


def test_an_officer_gives_evidence_out_by_sudo(machine, showed):
    """The sudo rules are those of the page, and the evidence goes to the officer's home."""
    machine.install("sudo")
    page = (ROOT / "docs/how-to/evidence.md").read_text()
    rules = [f"{line}\n" for line in page.splitlines() if "%evidence ALL" in line]
    (machine.root / "etc/sudoers.d/idtone-evidence").write_text("".join(rules))
    machine.run("chmod", "0440", "/etc/sudoers.d/idtone-evidence")  # as `visudo -f` does
    machine.run("visudo", "--check")
    machine.run("addgroup", "evidence")
    machine.run("adduser", "--disabled-password", "--gecos", "", "--ingroup", "evidence", "officer")
    calls = json.loads(machine.run(*AS_SERVICE, "idtone", "ledger", "list", "--limit", "1", "--json"))
    shell = (
        "cd && umask 077 && sudo -u idtone idtone ledger export --case R-1 --basis inquiry --sealed "
        "--authority A --reference B --scope C --received 1h --stdout " + calls[0]["call_id"] + " > pack.zip && "
        "sudo -u idtone idtone-evidence disclosure deliver - --stdout < pack.zip > receipt.pdf && "
        "idtone-evidence verify pack pack.zip"
    )
    assert "good: case R-1" in machine.run("runuser", "-u", "officer", "--", "sh", "-c", shell)
    (machine.root / "srv/own.yaml").write_text("ledger: {url: /srv/own.sqlite3}\n")
    act = ("runuser", "-u", "officer", "--", "sudo", "-n", "-u", "idtone")
    for command in ALLOWED_BY_SUDO:
        machine.run(*act, "-l", *shlex.split(command))
    for command in REFUSED_BY_SUDO:
        said = machine.run("sh", "-c", '"$@" 2>&1 || echo exit $?', "sh", *act, *shlex.split(command))
        assert re.search("not allowed|a password is required", said), (command, said)
        assert said.endswith("exit 1\n"), (command, said)
    assert machine.status(*act, *shlex.split("idtone ledger export --request R-1 --stdout=/srv/smuggled")) == 2
    assert not (machine.root / "srv/smuggled").exists()
    showed(f"a real sudo allows {len(ALLOWED_BY_SUDO)} lines, and refuses {len(REFUSED_BY_SUDO)}")


async def test_settings_that_the_new_version_cannot_use_leave_the_old_one_running(machine, pbx, upgraded, references):
    path = machine.root / "etc/idtone/idtone.yaml"
    good = path.read_text()
    before = show(machine, "MainPID")
    path.write_text(f"{good}typo: 1\n")
    said = machine.run("dpkg", "--install", *upgraded)
    path.write_text(good)
    assert "the new version has not taken over" in said
    assert show(machine, "MainPID") == before
    async with lab(pbx) as phones:
        placed = await phones.place()
        await phones.talk_and_hang_up(placed)
    assert heard_profile(placed, references) == "sample"


async def test_systemd_restarts_the_instance_that_took_over(machine, pbx, references):
    """After a hand-over, systemd warns that it would most likely not notice the end of this process."""
    assert "which is not our child" in log(machine)
    before = show(machine, "MainPID")
    machine.run("systemctl", "kill", "--kill-whom", "main", "--signal", "KILL", "idtone")
    await wait_until(lambda: "Main process exited, code=killed, status=9/KILL" in log(machine), "systemd to notice")
    await wait_until(lambda: show(machine, "NRestarts") == "1" and show(machine, "ActiveState") == "active", "the next")
    assert show(machine, "MainPID") != before
    assert "Watchdog timeout" not in log(machine)
    assert "idtone-failed@" not in machine.run("journalctl", "--no-pager", "--output", "cat"), "a mail for each restart"
    async with lab(pbx) as phones:
        placed = await phones.place()
        await phones.talk_and_hang_up(placed)
    assert heard_profile(placed, references) == "sample"


async def test_the_ledger_moves_while_calls_come(machine, pbx, references, showed):
    async with lab(pbx) as phones:
        async with traffic(phones, ["ari"]) as placed:
            said = await asyncio.to_thread(machine.run, "idtone-evidence", "log", "move", "/srv/ledger", "--yes")
            await asyncio.sleep(1)
        endings = [await phones.ending(each) for each in placed]
    print(said)
    showed(f"{len(placed)} calls while the ledger moved")
    assert {heard_profile(each, references) for each in placed} <= {"sample", "notice"}
    assert all(record["sent"] for record in await evidence(machine, endings))
    assert stat(machine, "/srv/ledger") == "700 idtone asterisk"
    told = json.loads(machine.run("idtone", "status", "--json"))
    assert (told["running"], told["ledger"]["trouble"]) == (True, "")
    assert machine.run(*AS_SERVICE, "idtone", "ledger", "verify").count("good") >= 1


def test_removed_it_leaves_settings_and_evidence(machine, pbx):
    """The removal leaves nothing in Asterisk, once the dialplan no longer calls the hook."""
    said = machine.run("sh", "-c", "idtone setup --undo --yes 2>&1 || echo exit $?")
    assert f"{pbx.etc}/extensions.conf:" in said
    assert "exit 2" in said
    for path in pbx.etc.glob("*.conf"):
        if path.name != "idtone.conf":
            kept = [line for line in path.read_text().splitlines() if not re.search("idtone-(forward|called)", line)]
            path.write_text("\n".join([*kept, ""]))
    journal = machine.root / str(SOUNDS / "journal")[1:]
    pbx.stop()
    machine.run("systemctl", "stop", "idtone")
    (journal / "calls").write_text("a line that nobody has read\n")
    machine.run("apt-get", "remove", "--yes", "idtone")
    assert machine.status("systemctl", "is-active", "--quiet", "idtone-console") != 0
    assert not (pbx.etc / "idtone.conf").exists()
    assert not (pbx.etc / "ari.conf").exists() or "[idtone]" not in (pbx.etc / "ari.conf").read_text()
    assert not (journal / "calls").exists()
    assert any("a line" in each.read_text() for each in journal.glob("taken-*"))
    for unit in ("idtone", "idtone-registry.timer"):
        assert machine.status("systemctl", "is-active", "--quiet", unit) != 0
    assert "Watchdog timeout" not in log(machine)
    assert machine.status("test", "-e", "/opt/venvs/idtone") == 1
    for kept in ("/etc/idtone/idtone.yaml", "/etc/idtone/ari.password", "/srv/ledger/ledger.sqlite3", SOUNDS):
        assert machine.status("test", "-e", kept) == 0, kept


def test_purged_it_leaves_the_evidence_and_says_so(machine):
    said = machine.run("apt-get", "purge", "--yes", "idtone*")
    for kept in ("/var/lib/idtone", str(SOUNDS)):
        assert f"idtone: {kept} is kept" in said
        assert machine.status("test", "-d", kept) == 0
    for gone in ("/etc/idtone/idtone.yaml", "/etc/idtone/idtone.d", SOUNDS / "journal"):
        assert machine.status("test", "-e", gone) == 1
    assert machine.status("test", "-e", "/etc/idtone/ari.password") == 1


def test_asterisk_may_be_installed_later(machine, node_package):
    machine.run("userdel", "asterisk")
    machine.status("groupdel", "asterisk")
    machine.install(node_package)
    machine.run("adduser", "--system", "--group", "--home", "/var/lib/asterisk", "--quiet", "asterisk")
    assert machine.run("id", "--group", "--name", "asterisk").strip() == "asterisk"
