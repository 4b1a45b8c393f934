"""The sound at phones of other vendors, and the record's claims about it: the core of `make bench-phones`."""

import asyncio
from typing import Final

import pytest

from bench.phones.situations import ELSEWHERE, Situation, watched, watched_behind_nat
from bench.phones.trial_calls import POLICIES, Trial
from idtone.core.calls import Party
from lab.phones.pbx import PhonesPbx
from lab.phones.program import PhoneProperties
from lab.phones.received_sound import SoundJudge
from lab.publication import LAB_REGISTRY
from lab.service import Service

CORE: Final = (
    Situation("", "", "pjsua2", between=watched),
    Situation("", "", "pjsua2", endpoint="phone-nat", between=watched_behind_nat),
    Situation("", "", "pjsua2", PhoneProperties(announced=ELSEWHERE), astray=True),
    Situation("", "", "pjsua2", endpoint="phone-nat", between=watched_behind_nat, hears="both"),
    Situation("", "", "baresip", endpoint="phone-nat", between=watched_behind_nat),
)


@pytest.mark.alone
async def test_the_record_claims_what_phones_of_others_received(installation, tmp_path):
    """PJSUA2 sends a report when its stream starts, before anything has arrived. This report confirms nothing.

    With strictrtp, Asterisk's default, Dial() sends the first four packets to a phone behind NAT in vain. The hook then
    plays the sound again.
    """
    with PhonesPbx(installation, tmp_path / "pbx") as pbx, Service(pbx, LAB_REGISTRY, POLICIES["called"]) as service:
        trial = Trial(pbx, service, SoundJudge(), tmp_path / "calls")
        rows = await asyncio.gather(*(trial.run(each, 1) for each in CORE))
    for situation, row in zip(CORE, rows, strict=True):
        assert (row.calls, row.unfinished, row.missing) == (1, [], ""), situation
        sounding = row.soundings[0]
        assert sounding.party is Party.CALLED
        assert sounding.delivery == "sent", f"{situation}: {sounding}"
        assert sounding.received.whole is not situation.astray, f"{situation}: {sounding}"
