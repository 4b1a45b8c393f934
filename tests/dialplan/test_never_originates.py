"""The hook in a real Asterisk without the service, with numbers that never originate calls. They are presented in every
spelling, and are forwarding numbers in some.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from idtone.call_control.fallback_conf import render
from idtone.call_control.fallback_keeper import write_durably
from idtone.call_control.journal_reader import JournalFolder
from idtone.core.calls import Period, Suspension
from idtone.core.numbers import parse, parse_or_none
from idtone.registry.number_notation import read_span
from lab.asterisk import Asterisk
from lab.dialplan_steps import HookCall, results, steps
from lab.nightly_tests import rest_in_breadth
from lab.spellings import NO_NUMBERS, OF_OTHERS, OF_SUSPENDED, UNREADABLE
from lab.spellings import SUSPENDED as BANK

LICENSED, STOPPED = "0312345678", "0312345600"
FORMS = (*OF_SUSPENDED, *UNREADABLE, *OF_OTHERS, *NO_NUMBERS)
SOME = tuple(form for kind in (OF_SUSPENDED, UNREADABLE, OF_OTHERS, NO_NUMBERS) for form in tuple(kind)[::11])
"""Some spellings of each kind. test_hook has all spellings as forwarding numbers, and the hook reads every number in
the same code.
"""
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
REFUSED = "REFUSED number-never-originates"
PERIODS = {
    "0451111111": "UNAVAILABLE service-unavailable",
    "0451112233": REFUSED,
    "0451114444": "UNAVAILABLE service-unavailable",
    "0612345678": REFUSED,
    "08012345678": REFUSED,
    STOPPED: "REFUSED number-suspended",
}
"""Numbers of several periods and spans: a period that is over, one in force, one to come; a range; a number of eleven
digits in a wide prefix; a suspension.
"""
LISTED = [
    ("0312345677", SINCE, None),
    ("0451111111", SINCE, SINCE + timedelta(days=1)),
    ("0451112233", SINCE, datetime(2100, 1, 1, tzinfo=UTC)),
    ("0451114444", datetime(2100, 1, 1, tzinfo=UTC), None),
    ("0612345600-0612345699", SINCE, None),
    ("080123*", SINCE, None),
]


def presenting(context: str, callers: tuple[str, ...]) -> str:
    """A dialplan that calls a licensed number from each caller, and reports the hook's results."""
    actions = ["Answer()"]
    for index, caller in enumerate(callers):
        actions.append(f"Set(CALLERID(num)={f'${{URIDECODE({quote(caller, safe=str())})}}' if caller else ''})")
        actions.append(HookCall(LICENSED).action)
        actions.append(f"Set(DB({context}/{index})=${{IDTONE_STATUS}} ${{IDTONE_REASON}})")
    return steps(context, actions)


def forwarding(context: str, numbers: tuple[str, ...]) -> str:
    actions = ["Answer()"]
    for index, number in enumerate(numbers):
        actions.append(HookCall(number).action)
        actions.append(f"Set(DB({context}/{index})=${{IDTONE_STATUS}} ${{IDTONE_REASON}})")
    return steps(context, actions)


EXTENSIONS = "\n".join(
    [
        "#include idtone.conf",
        forwarding("numbers", SOME),
        presenting("callers", FORMS),
        presenting("some-callers", SOME),
        forwarding("periods", tuple(PERIODS)),
        presenting("presented", tuple(PERIODS)),
    ]
)


@pytest.fixture(scope="module")
def hooked(installation, tmp_path_factory) -> Iterator[Asterisk]:
    with Asterisk(installation, tmp_path_factory.mktemp("hooked"), {"extensions.conf": EXTENSIONS}) as asterisk:
        JournalFolder(asterisk.sounds / "journal", asterisk.sounds).make()
        stopped = [(read_span(STOPPED), Suspension(SINCE))]
        never = [(read_span(text), Period(since, until)) for text, since, until in LISTED]
        write_durably(asterisk.sounds, render(stopped, None, never=sorted(never, key=lambda each: each[0].first)))
        yield asterisk


def is_bank(form: str) -> bool:
    return parse(BANK) in (parse(form), parse_or_none(form))


def test_spellings_of_the_forwarding_number(hooked):
    found = dict(zip(SOME, results(hooked, "numbers"), strict=True))
    expected = {
        form: REFUSED
        if form in OF_SUSPENDED
        else "UNAVAILABLE service-unavailable"
        if form in OF_OTHERS
        else "REFUSED number-malformed"
        for form in SOME
    }
    assert {form: result for form, result in found.items() if result != expected[form]} == {}


def test_with_unreadable_notice_the_digits_alone_are_refused(hooked):
    hooked.command("dialplan set global IDTONE_UNREADABLE notice")
    try:
        found = dict(zip(SOME, results(hooked, "numbers"), strict=True))
    finally:
        hooked.command("dialplan set global IDTONE_UNREADABLE refuse")
    assert {form for form, result in found.items() if result == REFUSED} == set(filter(is_bank, SOME))


@rest_in_breadth(("context", "forms"), [("some-callers", SOME), ("callers", FORMS)])
def test_every_spelling_of_the_number_that_the_caller_presents(hooked, context, forms):
    """The number may consist of the digits only. A caller who withholds the number, or presents another one, is
    connected.
    """
    found = dict(zip(forms, results(hooked, context, 120), strict=True))
    assert {form for form, result in found.items() if result == REFUSED} == set(filter(is_bank, forms))
    assert set(found.values()) == {REFUSED, "UNAVAILABLE service-unavailable"}


def test_ranges_and_times(hooked):
    assert results(hooked, "periods") == list(PERIODS.values())
    assert results(hooked, "presented") == [
        result if result == REFUSED else "UNAVAILABLE service-unavailable" for result in PERIODS.values()
    ], "a suspension is one of the forwarding number"


def test_no_spelling_is_an_error_to_asterisk(hooked):
    assert not [line for line in hooked.complaints() if any(word in line for word in ("func_", "pbx", "app_stack"))]
