"""SIPp against a real Asterisk that handles each number differently."""

import time

import pytest

from lab import sipp
from lab.asterisk import Asterisk
from lab.fleet import wait_until
from lab.sipp import Load, called

DIALPLAN = """
[from-lab]
exten = _*1*.,1,Dial(PJSIP/lab/sip:${CUT(EXTEN,*,2)}@127.0.0.1:${CUT(EXTEN,*,3)}\\;lab=${CUT(EXTEN,*,4)})
exten = _*2*.,1,Hangup(42)
exten = _*3*.,1,Hangup(21)
exten = _*4*.,1,Set(PJSIP_HEADER(add,Retry-After)=5)
 same = n,Hangup(42)
exten = _*5*.,1,Wait(3600)
"""


@pytest.mark.alone
def test_the_outcome_of_each_call(installation, tmp_path):
    before_s = time.time()
    with (
        Asterisk(installation, tmp_path / "pbx", {"extensions.conf": DIALPLAN}) as asterisk,
        called(tmp_path / "called") as answering,
    ):
        load = Load(asterisk.sip_address, answering.port, "11234", rate=20, seconds=1, folder=tmp_path / "caller")
        outcomes = load.outcomes()
        assert not asterisk.complaints()
    assert len(outcomes) == load.offered == 20
    for number, count, status, cause in (("1", 8, 200, None), ("2", 4, 503, 42), ("3", 4, 403, 21), ("4", 4, 503, 42)):
        those = [outcome for outcome in outcomes if outcome.number == number]
        assert [(outcome.status, outcome.cause) for outcome in those] == [(status, cause)] * count
        assert all((outcome.verdict_s is not None) is (status == 200) for outcome in those)
        assert all(before_s < outcome.sent_s < outcome.final_s < time.time() for outcome in those)
    assert answering.rung() == ["1"] * 8
    sent = {f"c{outcome.call}": outcome for outcome in outcomes}
    for arrival in answering.arrivals():
        outcome = sent[arrival.call]
        assert outcome.sent_s < arrival.came_s < arrival.answered_s < outcome.final_s
        assert 10_000 <= arrival.port < 20_000
    assert load.retransmissions() == 0
    # If this fails, Asterisk can send Retry-After, and the hook can use it: docs/adr/0006.
    assert not [outcome for outcome in outcomes if outcome.retry_after]


def test_forgotten_calls_do_not_block_the_end(installation, tmp_path, monkeypatch):
    monkeypatch.setattr(sipp, "LEAVE_S", 3.0)
    monkeypatch.setattr(sipp, "OVERDUE_S", 1.0)
    with Asterisk(installation, tmp_path / "pbx", {"extensions.conf": DIALPLAN}) as asterisk:
        load = Load(asterisk.sip_address, 9, "25", rate=10, seconds=1, folder=tmp_path / "caller")
        assert [outcome.number for outcome in load.outcomes()] == ["2"] * 5
        wait_until(lambda: asterisk.channels() == 5, "Asterisk to take the last call", 10)
