"""Spellings of numbers with the service up: together, the hook and the service act as each of them does alone."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from lab.asterisk import Asterisk
from lab.dialplan_steps import ANSWERING, HookCall, OwnDial, begin, hook_calls, own_dials, results, written
from lab.lab import LICENSED
from lab.nightly_tests import breadth, nightly, rest_at_night
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.spellings import EMERGENCIES, LOOKING_ALIKE, NO_NUMBERS, OF_OTHERS, OF_SUSPENDED, SUSPENDED, UNREADABLE

NUMBERS = (*OF_SUSPENDED, *UNREADABLE, *OF_OTHERS, *NO_NUMBERS)
CALLED = (*EMERGENCIES, *LOOKING_ALIKE)
MANY = 19
"""One in this many spellings is tested with an own Dial().

Such a call takes long, because it is answered and stays connected for a second.
"""
AT_ONCE = 8
WITHIN_S = 120


def of_options(forms: Sequence[str], one_of: int = MANY) -> list[str]:
    """Spellings that are possible in the options of Dial(), which end at a bracket and separate arguments by `^`."""
    return [form for form in forms if not re.search(r"[()\[\]^,\"\\]", form)][::one_of]


OWN_NUMBERS = of_options([*OF_SUSPENDED, *UNREADABLE])
OWN_CALLED = of_options([*EMERGENCIES])
OWN_OTHERS = of_options(LOOKING_ALIKE)
OWN = [
    *(OwnDial(number) for number in OWN_NUMBERS),
    OwnDial(LICENSED),
    *(OwnDial(SUSPENDED, called) for called in (*OWN_CALLED, *OWN_OTHERS)),
]
EXTENSIONS = "\n".join(
    [
        "#include idtone.conf",
        hook_calls("numbers", [HookCall(number) for number in NUMBERS]),
        hook_calls("called", [HookCall(SUSPENDED, called) for called in CALLED]),
        hook_calls("licensed", [HookCall(LICENSED, called) for called in CALLED[::5]]),
        *(own_dials(f"own-{first}", OWN[first::AT_ONCE]) for first in range(AT_ONCE)),
        ANSWERING,
    ]
)
REFUSED = "REFUSED number-suspended verdict"
UNREAD = "REFUSED number-malformed verdict"
PASSED = "UNAVAILABLE emergency emergency"


@pytest.fixture(scope="module")
def up(installation, tmp_path_factory) -> Iterator[Service]:
    """A service with its own Asterisk."""
    with (
        Asterisk(installation, tmp_path_factory.mktemp("spellings"), {"extensions.conf": EXTENSIONS}) as asterisk,
        Service(asterisk, LAB_REGISTRY) as service,
    ):
        yield service


@rest_at_night("interface", ["ari", "agi"])
def test_every_spelling_means_the_same_to_hook_and_service(up, interface):
    """Each spelling of a suspended number is refused, even if it cannot be read with certainty.

    An emergency number passes at once in each spelling.
    """
    up.asterisk.command(f"dialplan set global IDTONE_INTERFACE {interface}")
    before = up.records().keys()
    of_number, of_called, of_licensed = (
        dict(zip(forms, results(up.asterisk, context, WITHIN_S), strict=True))
        for forms, context in ((NUMBERS, "numbers"), (CALLED, "called"), (CALLED[::5], "licensed"))
    )
    assert {number: of_number[number] for number in OF_SUSPENDED if of_number[number] != REFUSED} == {}
    strange = {number: of_number[number] for number in UNREADABLE if of_number[number] not in (REFUSED, UNREAD)}
    assert strange == {}, up.log()[-3000:]  # which says whether the service lost its connection
    assert {of_number[number].partition(" ")[0] for number in OF_OTHERS} == {"UNAVAILABLE"}
    assert {of_number[number].split()[0] for number in NO_NUMBERS} == {"REFUSED"}
    for found in (of_called, of_licensed):
        assert [called for called in found if found[called] == PASSED] == [
            each for each in found if each in EMERGENCIES
        ]
        assert {called: result for called, result in found.items() if not result.endswith((" verdict", PASSED))} == {}
    assert {called: of_called[called] for called in LOOKING_ALIKE if of_called[called] != REFUSED} == {}
    records = [record for call_id, record in up.records().items() if call_id not in before]
    odd = Counter(tuple(record["anomalies"]) for record in records)
    assert odd.keys() == {(), ("an emergency call of a suspended number",)}
    assert odd["an emergency call of a suspended number",] == len(EMERGENCIES)
    decided = Counter((record["outcome"], record["reason"]) for record in records)
    assert decided["BYPASS", "emergency"] == len(EMERGENCIES) + sum(called in EMERGENCIES for called in of_licensed)


@pytest.mark.parametrize("interface", [breadth("away"), nightly("ari"), nightly("agi")])
def test_every_spelling_under_an_own_dial(up, interface):
    """The hook gets the numbers as arguments of U()."""
    asterisk = up.asterisk
    if interface == "away":
        up.stop()
    else:
        asterisk.command(f"dialplan set global IDTONE_INTERFACE {interface}")
    contexts = [f"own-{first}" for first in range(AT_ONCE)]
    ending = {}
    try:
        for context in contexts:
            begin(asterisk, context)
        for first, context in enumerate(contexts):
            ending |= dict(zip(OWN[first::AT_ONCE], written(asterisk, context, WITHIN_S), strict=True))
    finally:
        if interface == "away":
            up.start()
    numbers, (licensed, *called) = OWN[: len(OWN_NUMBERS)], OWN[len(OWN_NUMBERS) :]
    connected = {licensed, *(call for call in called if call.called in EMERGENCIES)}
    assert len(connected) > 30
    assert len(numbers) > 30
    assert {
        call: ending[call] for call in OWN if ending[call] != ("connected" if call in connected else "refused")
    } == {}
