"""A capture of the called phone's audio, verified with the auditor's command."""

import json

import pytest

from lab.lab import Forwarding, lab
from lab.nightly_tests import rest_in_breadth
from lab.sound_detection import in_order
from lab.tones.commands.run_tone import run
from lab.tones.recordings import capture_files


@rest_in_breadth(("number", "heard", "other"), [("0312345678", "sample", "notice"), ("0399999999", "notice", "sample")])
async def test_a_call_is_proved_by_its_capture(asterisk, service, tmp_path, number, heard, other):
    async with lab(asterisk) as phones:
        placed, _ = await phones.call(Forwarding(number))
        packets = placed.called.packets
    # Asterisk on a busy machine leaves gaps where it sends late. The verifier would rightly doubt a sound with a gap.
    packets = [one._replace(ssrc=packet.ssrc) for one, packet in zip(in_order(packets), packets, strict=True)]
    capture = tmp_path / "call.pcap"
    rows = [
        (
            packet.arrival_ns,
            capture_files.rtp(
                packet.sequence, packet.timestamp, packet.payload, payload_type=packet.payload_type, ssrc=packet.ssrc
            ),
        )
        for packet in packets
    ]
    capture.write_bytes(capture_files.pcap(capture_files.on_wire(rows)))

    result = run("verify", capture, "--profile", heard, "--json")
    # Asterisk uses another SSRC when it connects the parties, which makes this another leg.
    sound, *speech = json.loads(result.stdout)
    assert sound["verdict"] == "conforms", sound["reason"]
    assert not any(leg["findings"] for leg in speech)
    (finding,) = sound["findings"]
    assert finding["level_dbm0"] == pytest.approx(-16, abs=0.2)
    assert abs(finding["frequency_error_percent"]) < 0.05
    run("verify", capture, "--profile", other, exits=1)
