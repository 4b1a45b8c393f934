"""A finding as a value, and the topics."""

from __future__ import annotations

import pytest

from idtone.operations.doctor.checks import CHECKS
from idtone.operations.doctor.findings import TOPICS, Finding, State, bad, good


def test_every_topic_has_one_check_and_says_why_it_matters():
    topics = [topic for check in CHECKS for topic in check.topics]
    assert sorted(topics) == sorted(TOPICS)
    for topic in TOPICS.values():
        assert len(topic.why) > 30
        assert topic.why.endswith(".")
        assert topic.looked_at[:1].isupper() or topic.looked_at.startswith(("live_", "allowed_"))


@pytest.mark.parametrize("state", [State.WARNING, State.BAD, State.UNKNOWN])
def test_every_state_but_good_needs_a_remedy(state):
    with pytest.raises(ValueError, match="remedy"):
        Finding("ari", state, "it does not answer")


def test_a_good_finding_has_no_remedy():
    with pytest.raises(ValueError, match="remedy"):
        Finding("ari", State.GOOD, "it answers", "leave it alone")


def test_a_finding_says_what_was_found():
    with pytest.raises(ValueError, match="what was found"):
        good("ari", "")
    with pytest.raises(ValueError, match="no topic"):
        good("weather", "sunny")


def test_the_report_for_programs():
    assert bad("ledger-room", "2 MiB free", "Free space").report() == {
        "id": "ledger-room",
        "looked_at": "Free space for the ledger",
        "state": "bad",
        "found": "2 MiB free",
        "why": "On a full disk only the reserve has space for evidence.",
        "remedy": "Free space",
    }
    assert good("ledger-room", "2 GiB free").report()["remedy"] is None
