"""The service and Asterisk are killed together, twice here and more often in `make bench-kills-all`."""

from lab.asterisk import Asterisk
from lab.calls.kill_everything import kill_everything


async def test_no_connected_call_is_without_its_record_when_everything_is_killed(installation, tmp_path, references):
    figures = await kill_everything(Asterisk(installation, tmp_path / "pbx"), references, 2026, 2)
    print(f"\n{figures}")
    assert not figures.complaints
    assert figures.heard >= figures.connected > 0
