"""Each code of a decision has a text, and exactly one rule gives each reason."""

from collections import Counter

from idtone.core.calls import Direction, Outcome, Reason
from idtone.core.decision_words import DIRECTIONS, OUTCOMES, REASONS, RULES


def test_each_code_has_words():
    assert [*REASONS] == [*Reason]
    assert {*OUTCOMES} == {*Outcome}
    assert {*DIRECTIONS} == {*Direction}


def test_one_rule_gives_each_reason():
    assert Counter(reason for rule in RULES for reason in rule.reasons) == Counter(Reason)
