"""What phones of others receive, and what the record says of it: the core of `make bench-phones`."""

from __future__ import annotations

import asyncio
from typing import Final

from ..bench.phones.situations import SITUATIONS
from ..bench.phones.trying import POLICIES, Trial
from ..lab.phones.pbx import PhonesPbx
from ..lab.phones.recorded import Judge
from ..lab.publication import LAB_REGISTRY
from ..lab.service import Service

CORE: Final = {
    ("pjsua2", "PCMU, UDP"): "sent",
    ("pjsua2", "TLS, SDES"): "sent",
    ("pjsua2", "behind NAT"): "sent",
    ("pjsua2", "wrong address, it reports"): "sent",
    ("pjsua2", "behind NAT, it reports"): "confirmed",
    ("baresip", "behind NAT"): "sent",
}
"""Phone and situation → what the record is to say."""
ANSWERS: Final = 1


async def test_the_record_claims_what_phones_of_others_received(installation, tmp_path):
    """PJSUA2 reports when its stream starts, before anything has come; that confirms nothing."""
    situations = [each for each in SITUATIONS if (each.phone, each.what) in CORE]
    assert len(situations) == len(CORE)
    with PhonesPbx(installation, tmp_path / "pbx") as pbx, Service(pbx, LAB_REGISTRY, POLICIES["called"]) as service:
        trial = Trial(pbx, service, Judge(), tmp_path / "calls")
        rows = await asyncio.gather(*(trial.run(each, ANSWERS) for each in situations))
    for situation, row in zip(situations, rows, strict=True):
        name = (situation.phone, situation.what)
        assert (row.calls, row.unfinished, row.missing) == (ANSWERS, [], ""), name
        (sounding,) = row.soundings
        assert sounding.delivery == CORE[name], name
        assert sounding.received.whole is not situation.astray, f"{name}: {sounding}"
        assert not sounding.claims_more, f"{name}: {sounding}"
