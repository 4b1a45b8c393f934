"""The first day of the association's office: `make test-packages` runs the commands of the page on a fresh Debian 13.

One machine stands for all computers of the page: the holders' keys are in root's home.
"""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from lab.machine.first_month import JAPANESE, blocks
from lab.machine.machine import CHOSEN, Machine, MachineFailed, image

RELEASE: Final = "trixie"
"""Debian release for which the page is written."""
pytestmark = pytest.mark.skipif(RELEASE not in CHOSEN, reason="RELEASES does not name trixie")
LINE_S: Final = 1200.0
ANSWERS_S: Final = 120.0
SECRETS: Final = {"IDTONE_PASSPHRASE": "seven quiet herons under a green bridge"}
"""Passphrase of all keys. On the page, five people type one each."""
ANSWERS: Final = {"idtone console user sato": "a long pass phrase of mine"}
"""Command → the answers typed to it. All other questions get yes."""
PUBLISHED: Final = "/var/lib/idtone-office/published/current"
FIGURES: Final = "idtone-public-figures"
CERTIFICATE: Final = """set -e
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=office.example.jp -days 30 \
    -addext subjectAltName=DNS:licences.example.jp,DNS:sound.example.jp,DNS:desk.example.jp,DNS:office.example.jp \
    -keyout /etc/ssl/private/office.example.jp.key -out /etc/ssl/certs/office.example.jp.pem
echo 127.0.0.1 licences.example.jp sound.example.jp desk.example.jp office.example.jp >> /etc/hosts
rm -f /etc/nginx/sites-enabled/default
"""
GET: Final = """
import ssl, sys, urllib.error, urllib.request
trusted = ssl.create_default_context(cafile="/etc/ssl/certs/office.example.jp.pem")
for url in sys.argv[1:]:
    try:
        with urllib.request.urlopen(url, context=trusted, timeout=30) as answer:
            print(answer.status, len(answer.read()))
    except urllib.error.HTTPError as error:
        print(error.code, 0)
"""


@pytest.fixture(scope="module")
def office(packages: dict[str, list[Path]]) -> Iterator[Machine]:
    """A fresh Debian with the packages in root's home, and a certificate like one that the office would buy."""
    with Machine(image(RELEASE)) as machine:
        for package in packages[RELEASE]:
            shutil.copy(package, machine.root / "root")
        machine.run("apt-get", "update", "--quiet")
        yield machine
        print(machine.run("journalctl", "--unit", "idtone-office-desk", "--no-pager", "--lines", "50"))


def act(machine: Machine, name: str) -> str:
    """Type the commands of the page for an act, and return what they print."""
    said = ""
    lines = dict(blocks(JAPANESE / "office-first-day.md"))[f"office: {name}"].splitlines()
    with machine.shell(**SECRETS) as shell:
        shell.type("cd /root", LINE_S)
        for line in lines:
            answer = next((text for words, text in ANSWERS.items() if words in line), "y")
            code, printed = shell.type(f"{{ {line}\n}} < <(yes '{answer}')", LINE_S)
            said += f"# {line}\n{printed}"
            if code:
                raise MachineFailed(f"{line}: exit {code}\n{said}")
    return said


def statuses(machine: Machine, *urls: str) -> list[str]:
    said = machine.run("/opt/venvs/idtone/bin/python3", "-c", GET, *(f"https://{url}" for url in urls))
    return [line.split()[0] for line in said.splitlines()]


def test_from_an_empty_machine_to_the_first_published_registry(office: Machine) -> None:
    for name in ("install", "keys", "begin", "sign"):
        act(office, name)
    assert office.status("test", "-e", PUBLISHED) == 1, "nothing is published before enough have signed"
    said = act(office, "publish")
    assert "1.root.json" in said
    copied = "/srv/root.json"
    office.run("cp", "/var/lib/idtone-office/office/repository/metadata/1.root.json", copied)
    settings = office.root / "srv/node.yaml"
    settings.write_text(
        f"registry: {{source: {PUBLISHED}, trust: {copied}, cache: /srv/cache}}\nsounds: {{directory: /srv/sounds}}\n"
    )
    office.run("mkdir", "/srv/sounds")
    read = office.run("idtone", "registry", "update", "-c", "/srv/node.yaml")
    assert re.search(r"^trust +signed$", read, re.MULTILINE), read


def test_nginx_serves_the_registry_and_its_pages(office: Machine) -> None:
    office.run("sh", "-c", CERTIFICATE)
    for name in ("proxy", "pages", "prepare", "keep-root", "state", "public"):
        act(office, name)
    office.run("systemctl", "is-active", f"{FIGURES}.timer")
    office.run("systemctl", "start", f"{FIGURES}.service")
    assert office.status("test", "-e", "/var/lib/idtone-office/office/public-package/site/figures.json") == 0
    registry = "licences.example.jp/metadata/timestamp.json"
    assert statuses(office, registry) == ["403"], "this machine is no member's node"
    office.run("sed", "-i", "s,allow 192.0.2.0/24,allow 127.0.0.0/8,", "/etc/nginx/conf.d/idtone-office.conf")
    office.run("systemctl", "restart", "nginx")  # after a reload, processes with the old rule answer for a moment
    for unit in ("desk", "site", "console"):
        assert office.run("systemctl", "is-active", f"idtone-office-{unit}").strip() == "active"
    pages = (
        registry,
        "sound.example.jp/index.html",
        "desk.example.jp/report",
        "office.example.jp/sign-in",
        "office.example.jp/public/operators",
    )
    said: list[str] = []
    deadline_s = time.monotonic() + ANSWERS_S
    while said != ["200"] * len(pages) and time.monotonic() < deadline_s:  # a unit is active before it listens
        said = statuses(office, *pages)
    assert said == ["200"] * len(pages)
    assert statuses(office, "sound.example.jp/numbers/evaluate") == ["405"], "the number service has no answer to GET"
    assert statuses(office, "sound.example.jp/../office/registry.yaml") != ["200"]


def test_a_removal_keeps_what_the_association_has_decided(office: Machine) -> None:
    said = office.run("apt-get", "purge", "--yes", "idtone*")
    assert "/var/lib/idtone-office is kept" in said
    assert office.status("test", "-e", "/var/lib/idtone-office/office/registry.yaml") == 0
    for unit in ("idtone-office-desk", "idtone-office-site", "idtone-office-console", f"{FIGURES}.timer"):
        assert office.status("systemctl", "is-active", "--quiet", unit) != 0, unit
    assert "idtone" not in office.run("find", "/etc/systemd/system", "-mindepth", "2")
