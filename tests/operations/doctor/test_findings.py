"""A finding as a value, and the topics."""

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


@pytest.mark.parametrize(
    ("make", "why"),
    [
        *((lambda state=state: Finding("ari", state, "it is silent"), "remedy") for state in State if state != "good"),
        (lambda: Finding("ari", State.GOOD, "it answers", "leave it alone"), "remedy"),
        (lambda: good("ari", ""), "what was found"),
        (lambda: good("weather", "sunny"), "no topic"),
    ],
)
def test_a_finding_has_a_topic_a_text_and_a_remedy_unless_it_is_good(make, why):
    with pytest.raises(ValueError, match=why):
        make()


def test_the_report_for_programs():
    assert bad("ledger-room", "2 MiB free", "Free space").report() == {
        "id": "ledger-room", "looked_at": "Free space for the ledger", "state": "bad", "found": "2 MiB free",
        "why": "On a full disk only the reserve has space for evidence.", "remedy": "Free space",
    }  # fmt: skip
    assert good("ledger-room", "2 GiB free").report()["remedy"] is None
