"""Calls other makers' phones in some seventy situations, and compares the record with each phone's input.

    python -m bench.phones [--count 20] [--only TEXT] [--at_once 2] [--json]

The phones are pjsua2, baresip, linphone, aiortc, JsSIP in Chromium, SIPp and the lab's own; rtpengine, a lossy network
or a NAT may be in between. The reference is the packets at the phone's port, or otherwise its recording. `--only`
selects the situations whose phone or words contain that text. All situations together also write the table of
docs/explanation/phones.md. Exits with 1 if a record claims more than the phone received.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lab.asterisk_installation import find_or_get
from lab.debian_archive import PackagesUnavailable
from lab.phones.capture import Capture
from lab.phones.kinds import KINDS
from lab.phones.pbx import MEDIA, PhonesPbx
from lab.phones.received_sound import SoundJudge
from lab.phones.rtpengine import Rtpengine
from lab.processes import end_in_order
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.site import BARE

from ..bench_output import PROGRESS, options, report
from . import phones_page
from .claims import SituationResults, summary
from .situations import SITUATIONS, Situation
from .trial_calls import POLICIES, Trial

INSIDE: Final = "10.99.0.1"
"""The address of this namespace that ICE uses."""


STARTS_WITHIN_S: Final = 60.0


def enter_namespace() -> None:
    """Restart the program in a new network namespace, if root may create one.

    The namespace has loopback and one more address, and no route to the network.
    """
    if os.environ.get(MEDIA) or os.geteuid() or not (shutil.which("unshare") and shutil.which("ip")):
        return
    lines = [
        "ip link set lo up",
        "ip link add phones0 type veth peer name phones1",
        f"ip addr add {INSIDE}/24 dev phones0",
    ]
    # Chromium takes the address of the default route, which leads nowhere.
    lines += ["ip link set phones0 up", "ip link set phones1 up", "ip route add default dev phones0", 'exec "$@"']
    command = ["unshare", "--net", "sh", "-ec", "\n".join(lines), "sh"]
    tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    if tried.returncode == 0:
        os.environ[MEDIA] = INSIDE
        os.execvp(command[0], [*command, sys.executable, "-m", "bench.phones", *sys.argv[1:]])  # noqa: S606  itself again


def fetch_all() -> None:
    """Download all phones while the network is available."""
    for kind in (*KINDS.values(), Rtpengine):
        try:
            kind.fetch()
        except PackagesUnavailable as error:
            PROGRESS.print(f"{kind.__name__} is not to be had: {error}")


async def try_situations(
    trial: Trial, situations: Sequence[Situation], count: int, at_once: int
) -> dict[Situation, SituationResults]:
    """Try the situations, `at_once` of them in parallel, and return the results of each."""
    places = asyncio.Semaphore(at_once)
    rows: dict[Situation, SituationResults] = {}

    async def one(situation: Situation) -> None:
        async with places:
            row = rows[situation] = await trial.run(situation, count)
            shown = row.missing or ", ".join(f"{party}: {found}" for party, found in row.to_json()["parties"].items())
            PROGRESS.print(f"{row.phone}: {row.name}: {shown} {row.unfinished[:2] or ''}")

    await asyncio.gather(*(one(each) for each in situations if not each.is_exclusive))
    for situation in situations:
        if situation.is_exclusive:
            await one(situation)
    return rows


def run(scratch: Path, situations: Sequence[Situation], count: int, at_once: int) -> list[dict[str, object]]:
    """Try the situations on a new PBX; returns their rows as JSON, in order."""
    rows: dict[Situation, SituationResults] = {}
    judge = SoundJudge()
    with contextlib.ExitStack() as life:
        pbx = life.enter_context(PhonesPbx(find_or_get(), scratch / "pbx", site=BARE))
        capture = life.enter_context(Capture()) if Capture.possible() else None
        for policy in dict.fromkeys(POLICIES.values()):
            mine = [each for each in situations if POLICIES[each.hears] == policy]
            if mine:
                service = Service(pbx, LAB_REGISTRY, policy)
                service.start(timeout_s=STARTS_WITHIN_S)
                try:
                    trial = Trial(pbx, service, judge, scratch / f"calls-{len(rows)}", capture)
                    rows |= asyncio.run(try_situations(trial, mine, count, at_once))
                finally:
                    service.stop()
    return [rows[each].to_json() for each in situations]


def main() -> int:
    parser = options(__doc__, count=20, at_once=2)
    parser.add_argument("--only", default="", help="the situations whose phone or words have this text")
    chosen = parser.parse_args()
    fetch_all()
    enter_namespace()
    end_in_order()
    situations = [
        each for each in SITUATIONS if chosen.only.lower() in f"{each.phone} {each.caller} {each.what}".lower()
    ]
    with tempfile.TemporaryDirectory(prefix="idtone-phones-") as folder:
        rows = run(Path(folder), situations, chosen.count, chosen.at_once)
    found = summary(rows)
    if not chosen.only:
        phones_page.write(rows, chosen.count)
    report("phones of others", {**found, "rows": rows} if chosen.json else found, chosen.json)
    return int(bool(found["claims_more"]))


if __name__ == "__main__":
    sys.exit(main())
