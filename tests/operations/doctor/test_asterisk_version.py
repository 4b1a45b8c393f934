"""Finding on Asterisk's version."""

from datetime import date

import pytest

from idtone.ari_app.asterisk_version import AsteriskVersion
from idtone.core.settings.settings import Interface
from idtone.operations.doctor.asterisk_version import VULNERABILITIES, Vulnerability, judge, support_problem
from idtone.operations.doctor.findings import State

TODAY = date(2026, 11, 25)
ROWS = [
    # version, state, texts in the finding, texts that are not in it
    ("22.10.1+dfsg+~cs6.17", State.GOOD, [], ["GHSA"]),
    ("22.11.0", State.GOOD, [], ["GHSA"]),
    ("22.11.0-rc2+dfsg+~cs6.17", State.WARNING, ["it is a release candidate"], ["GHSA", "WebSocket", "0.2 s"]),
    ("23.4.1", State.GOOD, [], []),
    ("24.0.0", State.GOOD, [], []),
    ("20.20.1", State.GOOD, [], []),
    (
        "22.10.0", State.WARNING, ["GHSA-wcvv-g26m-wx5c", "GHSA-vrfp-mg3q-3959"],
        ["it lacks REST over the WebSocket", "CVE-2024-42365"],
    ),
    ("23.0.0", State.WARNING, ["GHSA-wcvv-g26m-wx5c", "GHSA-v6hp-wh3r-cwxh"], ["CVE-2024-53566"]),
    ("22.3.0", State.WARNING, ["it lacks REST over the WebSocket", "GHSA-vrfp-mg3q-3959"], ["GHSA-wcvv-g26m-wx5c"]),
    ("22.1.0", State.WARNING, ["CVE-2024-53566"], ["CVE-2024-42365"]),
    ("20.13.0", State.WARNING, ["it lacks REST over the WebSocket"], ["CVE-2024-42365", "GHSA-wcvv-g26m-wx5c"]),
    ("20.14.0", State.WARNING, ["GHSA-wcvv-g26m-wx5c"], ["it lacks REST over the WebSocket"]),
    ("20.9.1~dfsg-1", State.WARNING, ["CVE-2024-42365", "CVE-2024-42491", "CVE-2024-53566"], []),
    ("21.8.0", State.WARNING, ["no security fixes since 2026-10-18", "it lacks REST over the WebSocket"], []),
    ("21.12.3", State.WARNING, ["no security fixes since 2026-10-18"], ["GHSA", "WebSocket"]),
    ("certified-20.7-cert5", State.WARNING, ["certified", "it lacks REST over the WebSocket"], ["GHSA", "0.2 s"]),
    ("20.5.2", State.WARNING, ["each verdict over ARI takes 0.2 s", "it lacks REST over the WebSocket"], []),
    ("20.6.0", State.WARNING, ["it lacks REST over the WebSocket"], ["0.2 s"]),
    ("21.0.2", State.WARNING, ["each verdict over ARI takes 0.2 s"], []),
    ("18.26.4", State.BAD, ["needs Asterisk 20"], []),
    ("16.28.0~dfsg-0+deb11u4", State.BAD, ["needs Asterisk 20"], []),
    ("certified/18.9-cert13", State.BAD, ["needs Asterisk 20"], []),
    ("GIT-18-9f1c2d3", State.BAD, ["needs Asterisk 20"], []),
    ("GIT-master-12ab", State.WARNING, ["not a released version"], []),
    ("GIT-22-9f1c2d3", State.WARNING, ["not a released version"], ["22.9", "GHSA"]),
    ("", State.WARNING, ["not a released version"], []),
]  # fmt: skip


@pytest.mark.parametrize(("version", "state", "named", "not_named"), ROWS, ids=[row[0] or "none" for row in ROWS])
def test_a_version_is_judged(version, state, named, not_named):
    finding = judge(version, TODAY)
    assert finding.state is state, finding.found
    assert [name for name in named if name not in finding.found] == []
    assert [name for name in not_named if name in finding.found] == []


def test_where_verdicts_over_ari_are_late_the_other_interface_is_named():
    late = judge("20.5.2", TODAY)
    assert "`interface: agi`" in late.remedy
    over_agi = judge("20.5.2", TODAY, Interface.AGI)
    assert "0.2 s" not in over_agi.found
    assert "interface" not in over_agi.remedy
    assert "interface" not in judge("20.6.0", TODAY).remedy


def test_only_an_old_branch_is_refused():
    refused = [text for text, state, *_ in ROWS if state is State.BAD]
    assert refused == [text for text, *_ in ROWS if support_problem(text)]
    assert str(support_problem("18.26.4")).startswith("Asterisk 18.26.4 is too old: idtone needs Asterisk 20 or newer")


def test_a_branch_is_good_until_its_end():
    assert judge("20.25.0", date(2027, 10, 18)).state is State.GOOD
    assert judge("20.25.0", date(2027, 10, 19)).state is State.WARNING


def test_a_branch_without_a_fix_stays_vulnerable():
    hole = Vulnerability("GHSA-0", "a hole", ((20, 1, 0), (22, 2, 1)))
    versions = [(20, 0, 9), (20, 1, 0), (21, 9, 9), (22, 2, 0), (22, 2, 1), (23, 0, 0)]
    assert [version for version in versions if hole.open_in(AsteriskVersion(version))] == [
        (20, 0, 9),
        (21, 9, 9),
        (22, 2, 0),
    ]


def test_every_hole_names_its_advisory():
    for hole in VULNERABILITIES:
        assert hole.advisory.startswith("GHSA-")
        assert list(hole.fixed) == sorted(hole.fixed)
