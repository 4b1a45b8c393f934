"""The settings of a fleet: the signed file, and a node's own settings on top of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import idtone.core.settings.settings
from idtone.core.decision import Unlicensed
from idtone.core.errors import DocumentError
from idtone.core.settings.settings import Settings, load_settings, locations, variable_name
from idtone.core.settings.shared_settings import (
    NODE_ALONE,
    NOT_SHOWN,
    SECRET,
    SIGNED_BY,
    differing_settings,
    fleet_settings_report,
    signed_settings,
)
from idtone.core.signed_notes import Signer
from lab.core.non_default_settings import OTHER as ANY_OTHER

NOW = datetime(2026, 11, 28, 4, tzinfo=UTC)
SIGNER, OTHER = Signer(SIGNED_BY, b"1" * 32), Signer(SIGNED_BY, b"2" * 32)
SHARED = """\
ledger: {url: 'postgresql://idtone@db.example/idtone', retention: P365D}
policy:
  unlicensed: refuse
  waiting: 50
  notify: {incoming: both}
log: {level: debug}
"""


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(idtone.core.settings.settings, "DEFAULT_FILE", tmp_path / "absent.yaml")


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    path = tmp_path / "fleet-settings.signed"
    path.write_text(str(signed_settings(SHARED, "shared.yaml", 7, NOW, [SIGNER])))
    return path


@pytest.fixture
def node(tmp_path: Path, signed: Path) -> Path:
    """Settings of a node that trusts `SIGNER`."""
    path = tmp_path / "idtone.yaml"
    path.write_text(
        f"node: pbx-1\nfleet: {{settings: {signed}, trust: {SIGNER.key}}}\n"
        "policy: {waiting: 100, notify: {outgoing: caller}}\nmetrics: {listen: null}\n"
    )
    return path


def fault_of(path: Path, **environment: str) -> str:
    with pytest.raises(DocumentError) as caught:
        load_settings(path, environment)
    return str(caught.value)


def test_a_nodes_own_settings_lie_on_those_of_the_fleet_and_the_environment_on_both(node):
    settings = load_settings(node, {"IDTONE_LOG_LEVEL": "error"})
    assert (settings.node, settings.policy.waiting, settings.log.level) == ("pbx-1", 100, "error")
    assert (settings.policy.unlicensed, settings.ledger.retention) == (Unlicensed.REFUSE, timedelta(days=365))
    assert (settings.policy.notify.incoming, settings.policy.notify.outgoing) == ("both", "caller")
    assert settings.policy.fallback is Unlicensed.NOTICE, "what neither says is the default"
    assert settings.shared
    shared = settings.shared
    assert (shared.version, shared.signed, shared.settings.policy.waiting) == (7, NOW, 50)
    assert Settings().shared is None


def test_the_environment_can_name_the_file_alone(signed):
    environment = {"IDTONE_FLEET_SETTINGS": str(signed), "IDTONE_FLEET_TRUST": str(SIGNER.key)}
    assert load_settings(None, environment).policy.waiting == 50


def test_the_report_names_what_the_node_sets_otherwise_and_shows_no_numbers(node):
    with node.open("a") as file:
        file.write("association: {member: m-0001}\n")
    settings = load_settings(node, {"IDTONE_POLICY_SILENT": "0312345678", "IDTONE_ARI_PASSWORD": "secret"})
    report = fleet_settings_report(settings)
    assert report
    assert (report["version"], report["signed"], len(report["sha256"])) == (7, NOW.isoformat(), 64)
    assert report["overrides"] == [
        f"association.member: {NOT_SHOWN}",
        "policy.notify.outgoing: caller",
        f"policy.silent: {NOT_SHOWN}",
        "policy.waiting: 100",
    ]


def test_a_report_of_many_settings_is_cut(node):
    many = {
        variable_name(each): text for each, (text, _) in ANY_OTHER.items() if each[0] in ("policy", "sounds", "console")
    }
    report = fleet_settings_report(load_settings(node, many | {"IDTONE_LEDGER_LEGAL_BASES": "x" * 900}))
    assert report
    assert (len(report["overrides"]), max(map(len, report["overrides"]))) == (21, 100)
    assert report["overrides"][-1].endswith(" more")


def test_a_node_without_the_fleets_settings_has_no_report():
    assert fleet_settings_report(Settings()) is None
    assert differing_settings(Settings(node="a"), Settings(node="b")) == {}


def test_the_keys_of_one_node_are_keys_and_each_password_is_a_secret():
    assert set(locations()) >= NODE_ALONE | SECRET
    assert {location for location in locations() if location[-1] == "password"} == SECRET


def test_what_is_wrong_with_the_file_is_located(node, signed):
    whole = signed.read_text()
    for text, words in (
        ("", "is not a whole signed file of settings: the note has no signatures below an empty line"),
        (whole.replace("waiting: 50", "waiting: 51"), "the signature of idtone-fleet is not on this text"),
        (whole[:-3], "is not a whole signed file"),
        (str(signed_settings(SHARED, "x", 7, NOW, [OTHER])), "is not signed by the expected key (fleet.trust)"),
    ):
        signed.write_text(text)
        assert fault_of(node).startswith(f"{signed}: ")
        assert words in fault_of(node)
    signed.unlink()
    assert fault_of(node).startswith(f"{signed}: cannot be read")
    for text, place in (
        ("idtone-fleet-settings/v2\n8\n", "1:1: is signed, and has a format that this version does not know"),
        ("idtone-fleet-settings/v1\nseven\n", "2:1: has no version and time"),
        (
            "idtone-fleet-settings/v1\n7\n2026-11-28T04:00:00+00:00\nlog: {}\npolicy:\n  wating: 1\n",
            "6:3: policy.wating: is not a known key. Did you mean 'waiting'",
        ),
        ("idtone-fleet-settings/v1\n7\n2026-11-28T04:00:00+00:00\nnode: x\n", "4:1: node: is a key that each node has"),
    ):
        signed.write_text(f"{text}\n{SIGNER.sign(text)}")
        assert fault_of(node).startswith(f"{signed}:{place}"), text


def test_a_fault_of_the_nodes_own_file_is_located_there(node, signed):
    with node.open("a") as file:
        file.write("log: {level: loud}\n")
    assert fault_of(node).startswith(f"{node}:5:7: log.level: is not one of the possible values")
    node.write_text(f"fleet: {{settings: {signed}}}\n")
    assert fault_of(node) == (
        "settings: fleet.trust: is not set, and fleet.settings is. "
        "Write the line that `idtone-fleet new-signing-key` prints"
    )
    node.write_text(f"fleet: {{settings: {signed}, trust: idtone-fleet}}\n")
    assert fault_of(node).startswith(f"{node}:1:")
    wrong = f"idtone-fleet+00000000+{str(SIGNER.key).split('+', 2)[2]}"
    node.write_text(f"fleet: {{settings: {signed}, trust: {wrong}}}\n")
    assert "fleet.trust: cannot be used: the verifier key of idtone-fleet does not have the id" in fault_of(node)


def test_a_second_key_signs_while_the_first_is_replaced(node, signed):
    signed.write_text(str(signed_settings(SHARED, "shared.yaml", 8, NOW, [OTHER, SIGNER])))
    assert load_settings(node, {}).policy.unlicensed is Unlicensed.REFUSE


@pytest.mark.parametrize(
    ("yaml", "fault"),
    [
        ("node: x", "s.yaml:1:1: node: is a key that each node has for itself"),
        ("ledger: {origin: x}", "s.yaml:1:10: ledger.origin: is a key that each node has"),
        ("fleet: {trust: a+00000000+AA==}", "s.yaml:1:9: fleet.trust: is a key that each node has"),
        ("ari: {password: x}", "s.yaml:1:7: ari.password: is a secret, and this file is on all nodes"),
        ("log:\n  level: loud", "s.yaml:2:3: log.level: is not one of the possible values"),
        ("log: {} #\ta tab", "s.yaml:1:10: has a tab, or a line that ends in CR LF"),
        ("log: {}\r\n", "s.yaml:1:8: has a tab, or a line that ends in CR LF"),
    ],
)
def test_what_is_not_for_all_nodes_is_not_signed(yaml, fault):
    with pytest.raises(DocumentError) as caught:
        signed_settings(yaml, "s.yaml", 1, NOW, [SIGNER])
    assert str(caught.value).startswith(fault)
