"""The first day of an operator in Japan (`make test-packages`), and the first month (`make test-packages DRILLS=all`).
The tests run one after the other on one machine. Each act runs the commands of its page. After each act the node works
as before.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

import idtone
from idtone.service.reload_result import FAILED
from lab.machine.failures import FAILURES, HAPPENINGS, TOLD_WITHIN_S, FailureCause
from lab.machine.first_month import ACTS, JAPANESE, LATER, Act, commands
from lab.machine.machine import CHOSEN, Machine, image
from lab.machine.next_version import make_next
from lab.machine.operator_node import LISTEN, NUMBER, OperatorNode
from lab.machine.pbx import SOUNDS
from lab.prometheus import Prometheus
from lab.repository import ROOT
from lab.unpacked_packages import cache_directory

RELEASE: Final = "trixie"
"""Debian release for which the pages are written."""
pytestmark = pytest.mark.skipif(RELEASE not in CHOSEN, reason="RELEASES does not name trixie")
drill: Final = pytest.mark.skipif(
    os.environ.get("DRILLS") != "all", reason="`make test-packages DRILLS=all` runs the first month, which takes longer"
)
FIRST_SOUND_S: Final = 600
HOME: Final = "/root"
COPY: Final = f"{HOME}/node-backup"
_LATER: Final = {act.name: act for act in LATER}


@pytest.fixture(scope="module")
def node(packages: dict[str, list[Path]]) -> Iterator[OperatorNode]:
    """A fresh Debian, with the packages in root's home."""
    with (
        tempfile.TemporaryDirectory(prefix="first-month-", dir=cache_directory(os.environ, print)) as scratch,
        Machine(image(RELEASE), Path(scratch)) as machine,
    ):
        node = OperatorNode(machine)
        for package in packages[RELEASE]:
            shutil.copy(package, node.root / "root")
        node.resemble()
        yield node
        print(machine.run("journalctl", "--unit", "idtone*", "--no-pager", "--lines", "200"))


def test_from_a_fresh_debian_to_the_first_sound(node: OperatorNode, showed: Callable[[str], None]) -> None:
    lines = commands("first day", "first-day.md")
    (at,) = (number for number, line in enumerate(lines) if line.endswith("asterisk"))
    began_s = time.monotonic()
    said = node.type(lines[:at])
    for wanted in ("-t forky asterisk", "./idtone*.deb"):  # the mirror's speed is not ours
        node.machine.run("sh", "-c", f"cd {HOME} && apt-get install --yes --quiet --download-only {wanted}")
    fetched_s = time.monotonic() - began_s
    said += node.type(lines[at:])
    took_s = time.monotonic() - began_s
    assert "着信側の内線に sample が届きました(conforms)" in said, said
    assert "PLAY (licence-valid) 1" in said
    assert took_s - fetched_s < FIRST_SOUND_S
    node.prepare_calls()
    record = node.call()
    assert (record["outcome"], record["status"], record["fallback"]) == ("PLAY", "CONNECTED", False)
    fetching = f"{fetched_s:.0f} s of them to fetch"
    showed(f"from a fresh Debian to the first sound with {len(lines)} commands in {took_s:.0f} s, {fetching}")


def _proxy() -> str:
    """Command that sets up nginx with a certificate in front of the console, as on the page. It puts the next
    certificate into root's home.
    """
    page = (JAPANESE / "console.md").read_text("utf-8")
    server, settings = (
        next(
            block
            for block in re.findall(r"^```\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
            if block.startswith(start)
        )
        for start in ("server {", "console:\n  listen: unix:")
    )
    name = "pbx.example.jp"
    request = f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN={name} -days 30"
    return f"""set -e
apt-get install --yes --quiet -t forky nginx-light openssl
{request} -keyout /etc/ssl/private/{name}.key -out /etc/ssl/certs/{name}.pem
{request} -keyout {HOME}/new.key -out {HOME}/new.pem
echo 127.0.0.1 {name} >> /etc/hosts
cat > /etc/nginx/conf.d/idtone.conf << 'END'
{server}END
cat > /etc/idtone/idtone.d/60-console.yaml << 'END'
{settings}END
usermod -aG idtone-console www-data
rm -f /etc/nginx/sites-enabled/default
systemctl reload idtone
systemctl restart idtone-console nginx
"""


_BEFORE: Final = {
    "certificate": _proxy(),
    "metrics": "apt-get install --yes --quiet -t forky curl",  # its libraries are those of forky now
    "settings": "test ! -e /etc/idtone/idtone.d/70-log.yaml",
    "hold": "apt-get install --yes --quiet sudo",
    "backup-drill": f"cp -a /var/lib/idtone/backups {COPY}",  # as the operator fetches it to another machine
    "fix": f"rm /etc/asterisk/idtone.conf; chown root: {SOUNDS} {SOUNDS}/journal; asterisk -rx 'dialplan reload'",
}
"""Name of an act → command that prepares the machine for it."""


@drill
@pytest.mark.parametrize("act", [pytest.param(act, id=act.name) for act in ACTS])
def test_after_an_act_the_node_is_as_good_as_before(
    node: OperatorNode, act: Act, showed: Callable[[str], None]
) -> None:
    before = node.bad()
    if broken := _BEFORE.get(act.name):
        node.machine.run("sh", "-c", broken)
    if act.name == "clock":
        assert datetime.fromisoformat(node.call_with_a_wrong_clock()["times"]["decided"]) > datetime.now(
            UTC
        ) + timedelta(hours=1)
    said = node.do(act)
    node.is_as_good(before, said)
    if act.name == "mail":
        assert "To: noc@example.jp" in node.mails()[-1]
    if act.name == "certificate":
        served = node.machine.run("curl", "--silent", "--cacert", f"{HOME}/new.pem", "https://pbx.example.jp/sign-in")
        assert "idtone" in served, said
    showed(f"{act.page} in {node.took[act.name]:.0f} s, and the node is as good as before")


@drill
def test_the_password_changes_while_calls_come(node: OperatorNode, showed: Callable[[str], None]) -> None:
    """The same commands with exchanged names go back to the first user. No call is decided by the fallback."""
    lines = commands("act: password", "asterisk.md")
    back = [
        line.replace("idtone2", "\0").replace("[idtone\\]", "[idtone2\\]").replace("\0", "idtone") for line in lines
    ]
    before, known = node.bad(), {each["call_id"] for each in node.records(1000)}
    one = f"asterisk -rx 'channel originate Local/{NUMBER}@first-month application Wait 2'"
    node.machine.run("sh", "-c", f"(for i in $(seq 20); do {one}; sleep 0.5; done) > /dev/null 2>&1 &")
    said = node.type(back)

    def are_complete() -> bool:
        new = [each for each in node.records(1000) if each["call_id"] not in known]
        return len(new) == 20 and all(each["complete"] for each in new)

    node.wait(are_complete, "the records of 20 calls", 60)
    new = [each for each in node.records(1000) if each["call_id"] not in known]
    assert {(each["outcome"], each["status"], each["fallback"]) for each in new} == {("PLAY", "CONNECTED", False)}
    node.is_as_good(before, said)
    showed("all of 20 calls got the licensed sound meanwhile")


@drill
def test_a_reload_that_fails_says_so_at_once(node: OperatorNode, showed: Callable[[str], None]) -> None:
    """The settings pass the check, but then Asterisk refuses the next instance."""
    before, settings = node.bad(), "/etc/idtone/idtone.d/90-ari.yaml"
    node.write(settings, "ari: {user: stranger}\n")
    try:
        began_s = time.monotonic()
        assert node.machine.status("systemctl", "reload", "idtone") != 0
        failed_s = time.monotonic() - began_s
        assert FAILED in node.machine.run("cat", "/run/idtone/reload"), "the command has waited until its limit"
        assert node.call()["fallback"] is False
    finally:
        node.machine.run("rm", settings)
    began_s, used_s = time.monotonic(), node.processor_s("idtone")
    said = node.machine.run("systemctl", "reload", "idtone")
    worked_s, used_s = time.monotonic() - began_s, node.processor_s("idtone") - used_s
    assert failed_s < 2 * worked_s + 10, "on a busy machine both take long"
    node.is_as_good(before, said)
    showed(f"it fails in {failed_s:.1f} s; one that does not takes {worked_s:.1f} s, {used_s:.1f} s of a processor")


@drill
def test_a_number_is_stopped_when_the_police_call(node: OperatorNode, showed: Callable[[str], None]) -> None:
    before = node.bad()
    node.write(f"{HOME}/numbers.txt", f"{NUMBER}\n", 0o600)
    said = node.do(_LATER["suspend"])
    record = node.call()
    assert (record["outcome"], record["reason"]) == ("REFUSE", "number-suspended"), said
    said = node.do(_LATER["suspend-paper"])
    assert (node.root / "srv/R-77.pdf").read_bytes().startswith(b"%PDF"), said
    said = node.do(_LATER["suspend-lift"])
    assert node.call()["outcome"] == "PLAY", said
    node.is_as_good(before, node.do(_LATER["suspend-close"]))
    stopped_s, paper_s, lifted_s = (node.took[name] for name in ("suspend", "suspend-paper", "suspend-lift"))
    showed(f"stopped in {stopped_s:.0f} s, the paper for the police in {paper_s:.0f} s, lifted in {lifted_s:.0f} s")


@drill
def test_upgraded_and_back(node: OperatorNode, showed: Callable[[str], None]) -> None:
    make_next(node.machine, [Path(HOME, each.name) for each in (node.root / "root").glob("idtone*.deb")], "0.2.0")
    before = node.bad()
    for act, version in (("upgrade", "0.2.0"), ("back", idtone.__version__)):
        said = node.do(_LATER[act])
        assert node.machine.run("idtone", "--version").strip().endswith(version), said
        node.is_as_good(before, said)
        assert node.status()["instance"]["version"] == version, said
    showed(f"upgraded in {node.took['upgrade']:.0f} s, back in {node.took['back']:.0f} s")


@pytest.fixture(scope="module")
def prometheus(node: OperatorNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with the shipped rules. It scrapes the node, which shares this machine's network."""
    rules = ROOT / "config/monitoring/idtone-alerts.yml"
    with Prometheus(tmp_path_factory.mktemp("prometheus"), LISTEN, rules) as one:
        yield one


class Watch:
    """Records the first message about each failure from status, alerts and mails, with its time."""

    def __init__(self, node: OperatorNode, prometheus: Prometheus) -> None:
        self._node, self._prometheus = node, prometheus
        self._mails = len(node.mails())
        self._began_s = time.monotonic()
        self.first_s: dict[str, float] = {}

    def look(self) -> set[str]:
        here = {f"status: {each['id']}" for each in self._node.status()["troubles"]}
        alerts = self._prometheus.get("alerts")["alerts"]
        here |= {f"alert: {each['labels']['alertname']}" for each in alerts if each["state"] == "firing"}
        here |= {f"mail: {line}" for text in self._node.mails()[self._mails :] for line in text.splitlines()}
        for each in here:
            self.first_s.setdefault(each, time.monotonic() - self._began_s)
        return here

    def until_told(self, *failures: str) -> str:
        """Wait until status, an alert and a mail have named each of these failures, within one common limit. Returns
        the times in words.
        """
        wanted = [each for name in failures for each in FAILURES[name].expected_reports]

        def is_told() -> bool:
            self.look()
            return all(self._first(each) is not None for each in wanted)

        try:
            self._node.wait(is_told, ", ".join(wanted), TOLD_WITHIN_S, every_s=2)
        finally:
            print(f"{[(each, self._first(each)) for each in wanted]} of {sorted(self.first_s)}")
        return "told after at most " + ", ".join(
            f"{max(self._first(each) or 0 for each in wanted if each.startswith(by)):.0f} s by {by}"
            for by in ("status", "alert", "mail")
        )

    def _first(self, wanted: str) -> float | None:
        return min((s for said, s in self.first_s.items() if said.startswith(wanted)), default=None)


@drill
@pytest.mark.parametrize("happening", [pytest.param(each, id="+".join(each.failures)) for each in HAPPENINGS])
def test_a_failure_is_told_by_status_alert_and_mail(
    node: OperatorNode, prometheus: Prometheus, happening: FailureCause, showed: Callable[[str], None]
) -> None:
    before, watch = node.bad(), Watch(node, prometheus)
    node.type(happening.make)
    try:
        told = watch.until_told(*happening.failures)
    finally:
        said = node.type(happening.mend)
    if "ledger-damaged" in happening.failures:
        said += node.do(_LATER["damaged"])
    node.is_as_good(before, said)
    showed(told)


@drill
def test_a_full_disk_is_told(node: OperatorNode, prometheus: Prometheus, showed: Callable[[str], None]) -> None:
    """The ledger is on a small disk of its own."""
    before, disk = node.bad(), "/srv"
    node.machine.run("mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", disk)
    node.is_as_good(before, node.do(_LATER["ledger-move"]))
    watch = Watch(node, prometheus)
    node.machine.run("sh", "-c", f"cat /dev/zero > {disk}/filler 2> /dev/null || true")
    assert node.call()["status"] == "CONNECTED"
    told = watch.until_told("ledger")
    assert node.call()["status"] == "CONNECTED"
    node.machine.run("rm", f"{disk}/filler")
    node.is_as_good(before, node.do(_LATER["disk-full"]))
    showed(f"{told}; a call connects before and after")


@drill
def test_removed_installed_again_and_purged(node: OperatorNode, showed: Callable[[str], None]) -> None:
    before = node.bad()
    plan = node.root / "etc/asterisk/extensions.conf"
    forwarding = plan.read_text()
    plan.write_text(forwarding.replace("Gosub(idtone-forward", "NoOp(gosub"))
    node.machine.run("asterisk", "-rx", "dialplan reload")
    said = node.do(_LATER["remove"])
    assert not (node.root / "etc/asterisk/idtone.conf").exists(), said
    said = node.do(_LATER["again"])
    plan.write_text(plan.read_text().replace("NoOp(gosub", "Gosub(idtone-forward"))
    node.machine.run("asterisk", "-rx", "dialplan reload")
    node.is_as_good(before, said)
    plan.write_text(plan.read_text().replace("Gosub(idtone-forward", "NoOp(gosub"))
    node.machine.run("asterisk", "-rx", "dialplan reload")
    node.do(_LATER["purge"])
    for gone in ("etc/idtone", "var/lib/idtone", "run/idtone-trouble", "opt/venvs/idtone"):
        assert not (node.root / gone).exists(), gone
    assert "idtone" not in node.machine.run("systemctl", "list-timers", "--all")
    assert node.machine.run("systemctl", "is-active", "asterisk").strip() == "active"
    showed(", ".join(f"{name} in {node.took[name]:.0f} s" for name in ("remove", "again", "purge")))


@drill
def test_restored_on_another_machine(node: OperatorNode, showed: Callable[[str], None]) -> None:
    """After the purge only the copy of the node's archives is left, and Asterisk with the dialplan."""
    plan = node.root / "etc/asterisk/extensions.conf"
    node.machine.run("hostnamectl", "set-hostname", "pbx-osaka-1")
    packages = (node.root / "root").glob(f"idtone*_{idtone.__version__}+*.deb")
    node.machine.install(*(f"{HOME}/{each.name}" for each in packages))
    said = node.do(_LATER["restore"])
    plan.write_text(plan.read_text().replace("NoOp(gosub", "Gosub(idtone-forward"))
    node.machine.run("asterisk", "-rx", "dialplan reload")
    node.wait(node.is_well, said, 60)
    record = node.call()
    assert (record["outcome"], record["status"], record["fallback"]) == ("PLAY", "CONNECTED", False), said
    showed(f"from the copied archives in {node.took['restore']:.0f} s, and a call gets the licensed sound")
