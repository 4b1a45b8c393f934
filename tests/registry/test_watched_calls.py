"""The check that lets most calls skip the look-up of suspensions. A call with a suspended number must never skip it."""

from dataclasses import replace

import pytest

from idtone.core.numbers import parse
from idtone.registry.index import RegistryIndex
from idtone.registry.sources import parse_document
from lab.core.fake_registry import call

REGISTRY = """
registry: {{association: A, version: 1, issued: 2026-01-01T00:00:00Z, expires: 2027-01-01T00:00:00Z}}
tones: []
members: [{{id: m-1, name: {{ja: m, en: m}}, numbers: ["0312345*"]}}]
{further}
"""
STOPPED = "suspensions: [{since: 2026-01-01T00:00:00Z, reference: R-1, %s}]"
NEVER = "never_originates: [{since: 2026-01-01T00:00:00Z, reference: R-1, holder: m-1, number: '0312345999'}]"
NEAR, FAR = parse("0312345999"), parse("0612345678")


@pytest.mark.parametrize(
    ("further", "concerned", "watched"),
    [
        (STOPPED % "number: '0312345999'", call(NEAR), True),
        (STOPPED % "member: m-1", call(NEAR), True),
        (STOPPED % "number: '0312345999'", replace(call(FAR), perhaps=NEAR), True),
        (STOPPED % "number: '0312345999'", replace(call(FAR), caller=NEAR), False),
        (NEVER, call(NEAR), True),
        (NEVER, replace(call(FAR), caller=NEAR), True),
        (NEVER, replace(call(FAR), caller_perhaps=NEAR), True),
        (NEVER, call(FAR), False),
        ("", call(NEAR), False),
    ],
)
def test_a_call_that_a_stop_may_concern_is_watched(further, concerned, watched):
    index = RegistryIndex(parse_document(REGISTRY.format(further=further), "registry.yaml"))
    assert index.watches(concerned) is watched
