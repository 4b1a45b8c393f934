"""Finding on Asterisk's limit of open files."""

from pathlib import Path

import pytest

from idtone.operations.doctor import open_file_limit
from idtone.operations.doctor.findings import State

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max core file size        0                    unlimited            bytes
Max open files            {}                 524288               files
Max locked memory         8388608              8388608              bytes
"""


@pytest.mark.parametrize(
    ("limit", "calls", "state", "words"),
    [
        (1024, 600, State.WARNING, "1024 open files carry 98 calls, 600 are wanted"),
        (1024, 98, State.GOOD, "1024 open files carry 98 calls"),
        (1024, 99, State.WARNING, "carry 98 calls, 99 are wanted"),
        (6039, 600, State.WARNING, "carry 599 calls"),
        (6040, 600, State.GOOD, "carry 600 calls"),
        (0, 1, State.WARNING, "carry 0 calls"),
        (None, 600, State.UNKNOWN, "was not found"),
    ],
)
def test_a_limit_carries_a_tenth_of_it_in_calls(limit, calls, state, words):
    finding = open_file_limit.judge(limit, calls, "asterisk.service")
    assert (finding.state, words in finding.found) == (state, True), finding.found
    if state is State.WARNING:
        assert "systemctl edit asterisk.service: `[Service]`, `LimitNOFILE=65536`" in finding.remedy


def test_the_limit_of_a_process_and_its_unit_are_read():
    assert open_file_limit.limit_of(LIMITS.format(1024)) == 1024
    assert open_file_limit.limit_of(LIMITS.format("unlimited")) == 2**31
    assert open_file_limit.limit_of("") is None
    assert open_file_limit.unit_of("0::/system.slice/asterisk.service\n") == "asterisk.service"
    assert open_file_limit.unit_of("12:pids:/\n1:name=systemd:/system.slice/freepbx.service\n") == "freepbx.service"
    assert open_file_limit.unit_of("0::/user.slice/user-0.slice/session-1.scope\n") is None
    assert open_file_limit.unit_of("") is None


@pytest.mark.parametrize(
    ("conf", "calls"),
    [("", 600), ("[options]\nmaxcalls = 2000 ; channels\n", 2000), ("[options]\nmaxcalls = x\n", 600),
     ("[options]\nmaxcalls = 0\n", 600)],
)  # fmt: skip
def test_the_wanted_calls_are_those_that_asterisk_allows(conf, calls):
    assert open_file_limit.planned_calls(conf) == calls


def test_the_unit_gets_what_the_calls_need():
    assert open_file_limit.drop_in_text(600) == "[Service]\nLimitNOFILE=65536\n"
    assert open_file_limit.drop_in_text(10_000) == "[Service]\nLimitNOFILE=100040\n"
    assert open_file_limit.calls_within(open_file_limit.recommended_limit(10_000)) == 10_000
    assert open_file_limit.drop_in_path("asterisk.service", Path("/u")) == Path("/u/asterisk.service.d/50-idtone.conf")
