"""The `idtone.yaml` that the package installs, and that setup writes: each key is a comment."""

import re
import subprocess
from datetime import UTC, datetime

from idtone.core.settings.settings import Settings, load_settings
from idtone.core.settings.shared_settings import SIGNED_BY, signed_settings
from idtone.core.signed_notes import Signer
from idtone.operations.setup.plan_setup import packaged_settings
from lab.repository import ROOT

SAMPLE = (ROOT / "config" / "idtone.yaml").read_text("utf-8")


def test_a_key_becomes_effective_without_its_first_character(tmp_path):
    path = tmp_path / "idtone.yaml"
    path.write_text(packaged_settings())
    assert load_settings(path, {}) == Settings()
    assert all(line.lstrip().startswith("#") for line in packaged_settings().splitlines() if line)
    path.write_text(re.sub(r"^#((?:  )*\w+:)", r"\1", packaged_settings(), flags=re.MULTILINE))
    assert path.read_text() == SAMPLE


def test_the_settings_of_a_fleet_apply_on_a_node_of_the_package(tmp_path):
    signer = Signer(SIGNED_BY, b"1" * 32)
    signed = tmp_path / "fleet-settings.signed"
    shared = "policy: {waiting: 100}\nregistry: {poll: PT5S}\n"
    signed.write_text(str(signed_settings(shared, "shared.yaml", 1, datetime(2026, 12, 3, tzinfo=UTC), [signer])))
    path = tmp_path / "idtone.yaml"
    path.write_text(packaged_settings())
    (tmp_path / "idtone.d").mkdir()
    (tmp_path / "idtone.d/50-own.yaml").write_text(f"node: pbx-1\nfleet: {{settings: {signed}, trust: {signer.key}}}\n")
    settings = load_settings(path, {})
    assert (settings.policy.waiting, settings.registry.poll.total_seconds()) == (100, 5)


def test_the_package_is_built_with_the_same_text():
    rules = (ROOT / "debian" / "rules").read_text()
    [expression] = re.findall(r"sed -E '(.+)' config/idtone\.yaml > debian/idtone/etc/idtone/idtone\.yaml", rules)
    made = subprocess.run(
        ["sed", "-E", expression], input=SAMPLE, capture_output=True, text=True, encoding="utf-8", check=True
    )
    assert made.stdout == packaged_settings()
