"""Calls while the ledger is locked, as it is for seconds while a slow disk writes a commit."""

import time

from lab.asterisk import Asterisk
from lab.dialplan_steps import HookCall, begin, hook_calls, results, steps
from lab.lab import LICENSED
from lab.ledger.sample_ledger import lock_ledger
from lab.publication import LAB_REGISTRY
from lab.service import Service, wait_until_channels_are_younger

EXTENSIONS = "\n".join(
    [
        "#include idtone.conf",
        hook_calls("emergency", [HookCall(LICENSED, "110")]),
        hook_calls("usual", [HookCall(LICENSED)]),
        steps("older", ["Answer()", "Wait(5)", HookCall(LICENSED).action]),
    ]
)


def test_a_call_gets_its_verdict_after_a_call_that_the_hook_decided(installation, tmp_path):
    """For a decision of the hook, the service asks the ledger whether it already has the call."""
    with (
        Asterisk(installation, tmp_path, {"extensions.conf": EXTENSIONS}) as asterisk,
        Service(asterisk, LAB_REGISTRY) as service,
    ):
        wait_until_channels_are_younger()
        with lock_ledger(service.ledger, "BEGIN EXCLUSIVE"):
            assert results(asterisk, "emergency") == ["UNAVAILABLE emergency emergency"]
            deadline_s = time.monotonic() + 3
            while time.monotonic() < deadline_s:
                assert results(asterisk, "usual") == ["UNAVAILABLE licence-valid verdict"], service.log()[-3000:]
        decided = sorted(record["reason"] for record in service.records().values())
    assert decided[0] == "emergency"
    assert {*decided[1:]} == {"licence-valid"}


def test_a_call_gets_its_verdict_while_an_older_one_waits_for_the_ledger(installation, tmp_path):
    with Asterisk(installation, tmp_path, {"extensions.conf": EXTENSIONS}) as asterisk:
        begin(asterisk, "older")
        begun_s = time.monotonic()
        with Service(asterisk, LAB_REGISTRY) as service:
            wait_until_channels_are_younger()
            with lock_ledger(service.ledger, "BEGIN EXCLUSIVE"):
                assert time.monotonic() < begun_s + 5, "the older channel asks while the ledger is locked"
                while time.monotonic() < begun_s + 9:
                    assert results(asterisk, "usual") == ["UNAVAILABLE licence-valid verdict"], service.log()[-3000:]
