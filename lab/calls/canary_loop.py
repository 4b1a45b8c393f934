"""A PBX with a canary, and an Asterisk as its carrier.

The carrier returns the call to the PBX, or is another node. A global variable selects the carrier's behaviour.
"""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lab.asterisk import IDTONE, MODULES, Asterisk, free_ports
from lab.asterisk_installation import AsteriskInstallation
from lab.lab import LICENSED
from lab.service import Service
from lab.site import JAPAN

CANARY_CALLED: Final = "0312345690"
"""Number at which the canary is answered."""
PBX_DIALPLAN: Final = """
    #include idtone.conf
    [globals]
    IDTONE_INTERFACE=ari
    [from-carrier]
    exten = {number},1,Goto(idtone-canary-answer,s,1)
    exten = _X.,1,Hangup(1)
"""
CARRIER_DIALPLAN: Final = """
    ; Settings of a test: DOES is the extension that a call gets.
    #include idtone.conf
    [globals]
    DOES=passes
    [from-pbx]
    exten = _X.,1,Goto(does,${DOES},1)
    [does]
    exten = passes,1,Dial(PJSIP/{number}@back,30)
     same = n,Hangup(${HANGUPCAUSE})
    exten = rings,1,Ringing()
     same = n,Wait(60)
    exten = busy,1,Hangup(17)
    exten = announces,1,Answer()
     same = n,Wait(4)
     same = n,Hangup()
    exten = mutes,1,Set(MUTEAUDIO(in)=on)
     same = n,Goto(passes,1)
    exten = silences,1,Set(VOLUME(RX)=-32000)
     same = n,Goto(passes,1)
    exten = quietens,1,Set(VOLUME(RX)=-20)
     same = n,Goto(passes,1)
    ; Another node of the operator's.
    exten = answers,1,Goto(idtone-canary-answer,s,1)
"""
CARRIER_MODULES: Final = "res_mutestream func_volume".split()
NODE_MODULES: Final = ["pbx_spool"]


def endpoint(name: str, context: str, here: tuple[str, int], there: tuple[str, int], more: str = "allow = ulaw") -> str:
    """A trunk from `here` to `there`, for pjsip.conf. Calls from `there` arrive in `context`."""
    return (
        f"[{name}]\ntype = endpoint\ncontext = {context}\naors = {name}\ndisallow = all\n{more}\n"
        f"direct_media = no\nmedia_address = {here[0]}\nbind_rtp_to_media_address = yes\n"
        f"[{name}]\ntype = aor\ncontact = sip:{there[0]}:{there[1]}\n"
        f"[{name}-identify]\ntype = identify\nendpoint = {name}\nmatch = {there[0]}\n"
    )


def transport(here: tuple[str, int]) -> str:
    return f"[udp]\ntype = transport\nprotocol = udp\nbind = {here[0]}:{here[1]}\n"


def modules(more: list[str]) -> str:
    return "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in [*MODULES, *more])


@dataclass
class Node:
    """A PBX with its service."""

    asterisk: Asterisk
    service: Service
    metrics_at: str
    more: dict[str, str] = field(default_factory=dict)
    """Further environment variables of its command."""

    def canary(self, *options: str, **environment: str) -> tuple[int, dict[str, Any]]:
        """Run `idtone canary` as the service's user, and return the exit code and the report."""
        command = [IDTONE, "canary", "-c", self.service.settings, "--json", *options]
        ran = subprocess.run(
            self.service.as_itself(command),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=self.asterisk.site.environment(self.asterisk.scratch) | self.more | environment,
        )
        assert ran.returncode in (0, 1), ran.stderr
        return ran.returncode, json.loads(ran.stdout) if ran.stdout else {}

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"http://{self.metrics_at}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        (value,) = (line.split()[1] for line in lines if line.startswith(f"{name} "))
        return float(value)


@dataclass
class Loop:
    """The PBX, its carrier, and a registry that a test may change."""

    node: Node
    carrier: Asterisk
    registry: Path

    @contextmanager
    def carrier_does(self, what: str) -> Iterator[None]:
        self.carrier.command(f"dialplan set global DOES {what}")
        try:
            yield
        finally:
            self.carrier.command("dialplan set global DOES passes")

    def reached_carrier(self) -> int:
        """Number of calls that reached the carrier."""
        (line,) = re.findall(r"(\d+) calls? processed", self.carrier.command("core show channels count"))
        return int(line)


@contextmanager
def loop(
    installation: AsteriskInstallation,
    folder: Path,
    registry: str,
    *,
    codec: str = "allow = ulaw",
    canary: Mapping[str, str] | None = None,
) -> Iterator[Loop]:
    """Context with a running loop.

    `registry` is the text of an unsigned registry. `canary` changes settings of the canary.
    """
    source = folder / "registry" / "registry.yaml"
    source.parent.mkdir()
    source.write_text(registry)
    pbx_at, carrier_at = (("127.0.0.11", free_ports(1)[0]), ("127.0.0.12", free_ports(1)[0]))
    settings = {
        "forwarding_number": LICENSED, "called_number": CANARY_CALLED, "trunk": "carrier", "timeout": "PT6S",
        "result": str(folder / "pbx" / "ledger" / "canary.json"), "spool": str(folder / "pbx" / "spool" / "outgoing"),
        **(canary or {}),
    }  # fmt: skip
    exported = {f"IDTONE_CANARY_{name.upper()}": value for name, value in settings.items()}
    pbx = Asterisk(
        installation,
        folder / "pbx",
        {
            "extensions.conf": PBX_DIALPLAN.format(number=CANARY_CALLED),
            "modules.conf": modules(NODE_MODULES),
            "pjsip.conf": transport(pbx_at) + endpoint("carrier", "from-carrier", pbx_at, carrier_at, codec),
        },
        exported,
    )
    bare = replace(JAPAN, users="root", idle_channels=0)
    carrier = Asterisk(
        installation,
        folder / "carrier",
        {
            "extensions.conf": CARRIER_DIALPLAN.replace("{number}", CANARY_CALLED),
            "modules.conf": modules(CARRIER_MODULES),
            "pjsip.conf": transport(carrier_at) + endpoint("back", "from-pbx", carrier_at, pbx_at, codec),
        },
        {"IDTONE_CANARY_ANSWERS": "true"},
        site=bare,
    )
    (folder / "pbx" / "spool" / "outgoing").mkdir(parents=True)
    (folder / "carrier" / "sounds" / "canary").mkdir(parents=True)  # as the carrier's service would
    (metrics_port,) = free_ports(1)
    section = ", ".join(f"{name}: '{value}'" for name, value in settings.items())
    with ExitStack() as life:
        for each in (pbx, carrier):
            life.enter_context(each)
        service = Service(
            pbx, source, metrics=f"127.0.0.1:{metrics_port}", canary=section, association="member: m-0001"
        )
        pbx.site.give(folder / "pbx" / "spool" / "outgoing", "asterisk", 0o770)
        life.enter_context(service)
        node = Node(pbx, service, f"127.0.0.1:{metrics_port}", {"IDTONE_INTERFACE": "ari"})
        yield Loop(node, carrier, source)
