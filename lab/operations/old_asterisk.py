"""Test of setup and doctor on a real Asterisk that is too old.

`make test-asterisk SUITE=bullseye` (16.28), or another build, runs it. `make test` leaves it out:
tests/operations/setup/test_old_asterisk.py tests the same with a script in place of Asterisk.
"""

import json

import pytest

from idtone.core.errors import UsageError
from lab.chosen_asterisk import chosen_asterisk
from lab.operations.bare_asterisk import ALL_MODULES, NEW, USER, bare_asterisk


def test_it_is_refused_and_nothing_is_changed(tmp_path):
    installation = chosen_asterisk()
    assert not installation.is_supported, "name an old Asterisk: make test-asterisk SUITE=bullseye"
    refused = f"Asterisk {installation.version}"
    ari = {"ari.conf": "[general]\nenabled = yes\n[idtone]\ntype = user\npassword = some-password-12345\n"}
    with bare_asterisk(installation, tmp_path, ALL_MODULES | ari) as pbx:
        before = pbx.files()
        modules = pbx.asterisk.command("module show")
        with pytest.raises(UsageError, match="is too old: idtone needs Asterisk 20 or newer") as told:
            pbx.run("setup", "--user", USER, *NEW)
        assert str(told.value).startswith(refused)
        assert not pbx.config.exists()

        for enabled in (False, True):  # by the console, and over ARI
            if enabled:
                http = f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {pbx.asterisk.http_port}\n"
                (pbx.etc / "http.conf").write_text(http)
                before = pbx.files()
                pbx.asterisk.command("module reload http")
            pbx.config.parent.mkdir(exist_ok=True)
            pbx.config.write_text(
                f"ari: {{url: '{pbx.asterisk.ari_url}'}}\nregistry: {{source: none.yaml, trust: unsigned}}\n"
            )
            pbx.environment["IDTONE_ARI_PASSWORD"] = "some-password-12345"  # noqa: S105
            code, output = pbx.run("doctor", "--fix", "--yes", "--json")
            assert code == 1
            findings = {finding["id"]: finding for finding in json.loads(output)["findings"]}
            assert findings["asterisk-version"]["found"].startswith(refused)
            assert findings["asterisk-version"]["state"] == "bad"
            assert (findings["ari"]["state"] == "good") == enabled
            assert json.loads(output)["changes"] == []
        assert pbx.files() == before
        assert pbx.asterisk.command("module show") == modules
        assert not (pbx.scratch / "copies").exists()
