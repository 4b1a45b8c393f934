"""The macros of the hook's source."""

from importlib import resources

import pytest

from idtone.dialplan import HOOK_FILE, Verdict
from idtone.dialplan.macros import AROUND, TEXTS, VERDICT, expand

SOURCE = (resources.files("idtone.dialplan") / HOOK_FILE).read_text("utf-8")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("x\\\n   y", "xy"),
        ("x \\\n   & y", "x & y"),
        ("@VERDICT_CALLED@", "${CUT(IDTONE_VERDICT,:,6)}"),
        ("@dial{x${Y}}z", "Dial(${ARG1},${FILTER(0-9.,${ARG4})},gx${Y})z"),
        ("@encoded{${${IF(a)}:0:9}}", r"${FILTER(A-Za-z0-9%._~!*\x2d,${URIENCODE(${${IF(a)}:0:9})})}"),
        (
            "@dial{@encoded{a}}",
            r"Dial(${ARG1},${FILTER(0-9.,${ARG4})},g${FILTER(A-Za-z0-9%._~!*\x2d,${URIENCODE(a)})})",
        ),
    ],
)
def test_what_a_macro_becomes(source, text):
    assert expand(source) == text


def test_an_argument_ends():
    with pytest.raises(ValueError, match="no closing brace"):
        expand("@dial{${x}")


def test_each_macro_is_used():
    assert [name for name in TEXTS if name not in SOURCE] == []
    assert [name for name in AROUND if f"@{name}{{" not in SOURCE] == []


def test_a_field_of_a_verdict_is_where_the_service_writes_it():
    made = Verdict("nonce", "outcome", "reason", 21, True, {"called": "called", "caller": "caller"}, 22, "chain")
    written = dict(zip(VERDICT, made.text.split(":"), strict=True))
    assert written == {name: name for name in VERDICT} | {"cause": "21", "option": "a", "packets": "22"}
