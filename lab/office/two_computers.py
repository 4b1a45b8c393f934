"""The computers of the documentation's pages about the office, as folders in which a page's commands run.

The holders of the first day share one home folder, and a successor has another one. The commands are those of the page
with few changes: folders begin elsewhere, each question is answered with yes, `runuser` and `chown` change no user, and
`systemctl` only records its arguments.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from idtone.console.access.rights import Role
from lab.asterisk import OFFICE
from lab.console.site import users_file
from lab.machine.first_month import JAPANESE, blocks
from lab.office.authority.office import PHRASE, Office
from lab.repository import ROOT

_FOLDER: Final = re.compile(r"(?<![\w/.])/(var/lib/idtone-office|etc/(?:idtone-office|nginx)|media/(?:stick|officer))")
_PRIVATE: Final = b"ENCRYPTED PRIVATE KEY"
_START: Final = """set -euo pipefail
runuser() { while [ "$1" != -- ]; do shift; done; shift; "$@"; }
chown() { :; }
idtone-office() { command idtone-office "$@" < <(yes y); }
systemctl() { echo "systemctl $*" >> "$UNITS"; }
"""


@dataclass
class TwoComputers:
    """The two computers. `root` is the office's, and contains the USB stick.

    No private key of a person may be on the stick.
    """

    root: Path
    office: Office

    @classmethod
    def founded(cls, root: Path, office: Office) -> TwoComputers:
        """The computers after the first day, with the keys and users that the page creates."""
        here = cls(root, office)
        for folder in (here.home, here.stick, here.officer, root / "etc/idtone-office", root / "etc/nginx/conf.d"):
            folder.mkdir(parents=True)
        office.folder = here.home / "office"
        office.output("publication new-registry")
        (office.folder / "authority.yaml").write_text(f"published: {here.home}/published\n")
        office.output("publication begin", "--keys", here.own)
        for public in here.own.glob("*.pub"):
            shutil.copy(public, here.home)
        office.output("key keep-for-night", "sato", here.key("duty-2"))
        shutil.copy(office.root, here.own)
        settings = (ROOT / "config/office.yaml").read_text("utf-8").replace("/var/lib", f"{root}/var/lib")
        (root / "etc/idtone-office/idtone.yaml").write_text(settings, "utf-8")
        users_file(here.home / "console-users.yaml", dict.fromkeys(("sato", "suzuki"), (Role.OFFICE,)))
        (root / "etc/nginx/conf.d/idtone-office.conf").touch()
        return here

    @property
    def home(self) -> Path:
        return self.root / "var/lib/idtone-office"

    @property
    def stick(self) -> Path:
        return self.root / "media/stick"

    @property
    def officer(self) -> Path:
        """Folder in place of the medium on which a duty officer brings a key for the night."""
        return self.root / "media/officer"

    @property
    def own(self) -> Path:
        """Folder with the holders' keys and the root file."""
        return self.holder / "idtone-keys"

    @property
    def holder(self) -> Path:
        return self.root.with_name("holder")

    @property
    def units(self) -> Path:
        """Record of the requests to `systemctl`."""
        return self.root.with_name("units")

    def key(self, name: str) -> Path:
        return self.own / f"{name}.pem"

    def keys(self, *names: str) -> list[object]:
        return [word for name in names for word in ("--key", self.key(name))]

    def type(self, page: str, *names: str, typed: str = "", home: Path | None = None, **changed: str) -> str:
        """Run the commands of these blocks of the page in a shell, and return their output.

        `typed` are the answers to OpenSSL. `home` is the home folder of a holder with another computer. `changed` maps
        words of the page to their replacements. Raises AssertionError if a command fails or a private key is on the
        stick.
        """
        said = ""
        for name in names:
            script = self._here(dict(blocks(JAPANESE / page))[f"office: {name}"])
            for old, new in changed.items():
                script = script.replace(old, new)
            environment = os.environ | {
                "PATH": f"{OFFICE.parent}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(home or self.holder),
                "IDTONE_CONFIG": str(self.root / "etc/idtone-office/idtone.yaml"),
                "IDTONE_PASSPHRASE": PHRASE,
                "UNITS": str(self.units),
            }
            done = subprocess.run(
                ["bash", "-c", _START + script], cwd=home or self.own, input=typed, env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False,
                start_new_session=True,  # otherwise OpenSSL asks the terminal
            )  # fmt: skip
            said += done.stdout
            assert done.returncode == 0, f"{page}: {name}:\n{script}\n{done.stdout}"
            assert self.private_keys() == [], f"{page}: {name}: a private key is on the stick"
        return said

    def private_keys(self) -> list[str]:
        """Files and archives on the stick that contain a private key of a person."""
        found = []
        for path in self.stick.rglob("*") if self.stick.exists() else ():
            if path.suffixes[-2:] == [".tar", ".gz"]:
                with tarfile.open(path) as archive:
                    files = [(each.name, archive.extractfile(each)) for each in archive if each.isfile()]
                    found += [name for name, file in files if file and _PRIVATE in file.read()]
            elif path.is_file() and _PRIVATE in path.read_bytes():
                found.append(str(path))
        return found

    def _here(self, script: str) -> str:
        return _FOLDER.sub(rf"{self.root}/\1", script).replace("--directory /", f"--directory {self.root}/")

    def as_member(self, node: Path, root: Path | None = None) -> Any:
        """Make a member's node fetch a new edition, and return the output. `root` replaces the node's root file."""
        node.mkdir(exist_ok=True)
        if root or not (node / "root.json").exists():
            shutil.copy(root or self.own / "1.root.json", node / "root.json")
        settings = node / "idtone.yaml"
        settings.write_text(
            f"registry: {{source: {self.home}/published/current, trust: {node}/root.json, cache: {node}/cache}}\n"
        )
        return self.office.run("update", "-c", settings, "--json")
