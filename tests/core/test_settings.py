"""The settings: defaults, file, environment; and the commented file that ships with them."""

import platform
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import pytest

import idtone.core.settings.settings
from idtone.core.calls import Direction, Party
from idtone.core.decision import Policy, Unlicensed
from idtone.core.errors import DocumentError
from idtone.core.settings.settings import (
    CONFIG,
    LedgerSettings,
    Settings,
    load_settings,
    locations,
    variable_name,
)
from idtone.core.terminal.command_line import ConfigOption
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.call_control.unix_users import SERVICE_GROUP, SERVICE_USER, acting_as, needs_root
from lab.core.non_default_settings import OTHER


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(idtone.core.settings.settings, "DEFAULT_FILE", tmp_path / "absent.yaml")


@pytest.fixture
def shipped() -> Iterator[Path]:
    with resources.as_file(resources.files("idtone.config") / "idtone.yaml") as path:
        yield path


def value_at(settings: Any, location: tuple[str, ...]) -> Any:
    for step in location:
        settings = getattr(settings, step)
    return settings


def faults(path: Path | None, environment: dict[str, str]) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load_settings(path, environment)
    return [str(fault) for fault in caught.value.faults]


def test_without_file_and_environment_the_defaults_apply(monkeypatch, tmp_path):
    settings = load_settings(None, {})
    assert settings == Settings()
    assert settings.node == platform.node()
    assert settings.policy.policy(None) == Policy()
    path = tmp_path / "idtone.yaml"
    path.write_text("node: from-default-file")
    monkeypatch.setattr(idtone.core.settings.settings, "DEFAULT_FILE", path)
    assert load_settings(None, {}).node == "from-default-file", "the default file is read where it exists"


def test_every_key_can_be_set_by_file_and_by_environment(tmp_path):
    assert set(OTHER) | {("fleet", "settings")} == set(locations()), "every key has a value (test_shared_settings.py)"
    path = tmp_path / "idtone.yaml"
    for location, (text, value) in OTHER.items():
        needs = {"IDTONE_LEDGER_URL": "postgresql://db-1.example/i"} if location == ("ledger", "others") else {}
        path.write_text("".join(f"{'  ' * depth}{step}:\n" for depth, step in enumerate(location))[:-1] + f" {text}\n")
        assert value_at(load_settings(path, needs), location) == value, location
        assert value_at(load_settings(None, {**needs, variable_name(location): text}), location) == value, location


def test_the_files_of_the_folder_lie_on_the_file_in_their_order(tmp_path):
    """The package's file can stay unchanged, so an upgrade replaces it without a question."""
    path, folder = tmp_path / "idtone.yaml", tmp_path / "idtone.d"
    path.write_text("node: of-file\nari: {user: of-file, transport: http}\n")
    folder.mkdir()
    (folder / "50-own.yaml").write_text("ari: {user: of-50}\nledger: {witnesses: []}\n")
    (folder / "10-setup.yaml").write_text("node: of-10\nari: {user: of-10, password_file: /p}\n")
    (folder / "90-not-read.yml.dpkg-old").write_text("node: 1: 2")
    (folder / "60-empty.yaml").write_text("# nothing yet\n")
    (folder / ".#50-own.yaml").symlink_to("alice@pbx-1.1234:1")  # Emacs, while someone edits the file
    (folder / ".ansible_tmpq3k0_w50-own.yaml").write_text("node: [of-a-file-that-is-being-")
    settings = load_settings(path, {"IDTONE_LOG_LEVEL": "debug"})
    assert (settings.node, settings.ari.user, settings.ari.transport) == ("of-10", "of-50", "http")
    assert (settings.ari.password_file, settings.log.level) == (Path("/p"), "debug")
    (folder / "50-own.yaml").write_text("log: {}\nari:\n  user: x\n  tranport: http\n")
    (fault,) = faults(path, {})
    assert fault.startswith(f"{folder}/50-own.yaml:4:3: ari.tranport: ")


def test_a_file_of_the_folder_that_would_not_be_read_is_a_fault(tmp_path):
    path, folder = tmp_path / "idtone.yaml", tmp_path / "idtone.d"
    path.write_text("# nothing yet\n")
    folder.mkdir()
    (folder / "50-own.yml").write_text("node: pbx-1\n")
    (folder / ".50-own.yml").write_text("node: of-an-editor\n")
    (fault,) = faults(path, {})
    assert fault.startswith(f"{folder}/50-own.yml: is not read, because its name does not end with .yaml")
    assert "Rename it to 50-own.yaml" in fault


@needs_root
def test_a_folder_of_settings_that_the_service_cannot_read_is_a_fault():
    """A root with the umask 027 has made it: for root, its settings apply, and the service would have none of them."""
    with tempfile.TemporaryDirectory() as place:
        path, folder = Path(place, "idtone.yaml"), Path(place, "idtone.d")
        Path(place).chmod(0o711)
        path.write_text("# nothing yet\n")
        folder.mkdir(mode=0o700)
        (folder / "50-own.yaml").write_text("association: {member: m-1}\n")
        assert load_settings(path, {}).association.member == "m-1"
        with acting_as(SERVICE_USER, SERVICE_GROUP):
            (fault,) = faults(path, {})
    assert fault.startswith(f"{folder}: cannot be read: Permission denied")


def test_a_nodes_name_comes_from_its_ledger(tmp_path):
    """The evidence is signed under the old name, even if the host gets another one."""
    config, url = tmp_path / "idtone.yaml", f"sqlite:///{tmp_path}/l.sqlite3"
    config.write_text(f"ledger: {{url: '{url}', key_file: {tmp_path}/key}}\n")
    ledger = load_settings(config, {}).ledger
    assert load_settings(config, {}).node == platform.node()
    with LedgerWriter.open(url, "pbx-1", KeyRing.of(ledger, "pbx-1")) as writer:
        writer.append(steps.ended("1.1-1", datetime.now(UTC), CallStatus.CONNECTED)).result()
    assert load_settings(config, {}).node == "pbx-1"
    assert load_settings(config, {"IDTONE_NODE": "other"}).node == "other"
    config.write_text(f"{config.read_text()}node: named\n")
    assert load_settings(config, {}).node == "named"
    config.write_text(f"ledger: {{url: '{url}', key_file: {tmp_path}/key, origin: other/log}}\n")
    assert load_settings(config, {}).node == platform.node(), "the ledger is signed by another name"
    (tmp_path / "l.sqlite3").write_text("no database")
    config.write_text(f"ledger: {{url: '{url}', key_file: {tmp_path}/key}}\n")
    assert load_settings(config, {}).node == platform.node()


def test_the_environment_overrides_the_file_and_keeps_the_rest(tmp_path):
    path = tmp_path / "idtone.yaml"
    path.write_text("ari: {user: of-file, transport: http}\npolicy: {notify: {incoming: called}, refuse_cause: 1}")
    settings = load_settings(path, {"IDTONE_ARI_USER": "of-environment", "IDTONE_POLICY_UNLICENSED": "refuse"})
    assert (settings.ari.user, settings.ari.transport) == ("of-environment", "http")
    assert (settings.policy.unlicensed, settings.policy.refuse_cause) == (Unlicensed.REFUSE, 1)
    path.write_text("ari: {}\n")
    assert load_settings(path, {"IDTONE_ARI_USER": "x"}).ari.user == "x", "a section that is empty in the file"


def test_a_fault_of_the_file_is_located(tmp_path):
    path = tmp_path / "idtone.yaml"
    for text, expected in (
        ("policy: {refuse_cause: 0}", "1:10: policy.refuse_cause: "),
        ("policy: {refuse_cause: 128}", "1:10: policy.refuse_cause: "),
        ("policy:\n  registry_stale: -PT1S", "2:3: policy.registry_stale: "),
        ("policy:\n  registry_stale: 3600", "2:3: policy.registry_stale: "),
        ("ledger: {retention: PT1S}", "1:10: ledger.retention: is less than 1 day. Write a larger value"),
        ("ledger: {origin: a b}", "1:10: ledger.origin: has a space or a '+' in it. Write it like pbx-1"),
        (f"ledger: {{origin: {'x' * 201}}}", "1:10: ledger.origin: has more than 200 characters. Write a shorter text"),
        ("policy: {unlicensed: x}", "1:10: policy.unlicensed: is not one of the possible values. Write 'notice' or 'r"),
        ("policy: {notify: {incoming: everybody}}", "1:19: policy.notify.incoming: "),
        (
            "canary: {called_number: '110'}",
            "1:10: canary.called_number: is an emergency number, which idtone never calls",
        ),
        (
            "canary: {called_number: '1861１9'}",
            "1:10: canary.called_number: is an emergency number, which idtone never",
        ),
        ("canary: {forwarding_number: '118'}", "1:10: canary.forwarding_number: is an emergency number"),
        ("canary: {forwarding_number: '03'}", "1:10: canary.forwarding_number: is not a complete telephone number"),
        ("canary: {called_number: '0312345678&x'}", "1:10: canary.called_number: is not a complete telephone number"),
        ("canary: {trunk: 'trunk/110'}", "1:10: canary.trunk: is not the name of a PJSIP endpoint"),
        ("ari: {url: localhost:8088}", "1:7: ari.url: is not an HTTP address. Write it like http://"),
        ("ari: {pasword_file: x}", "1:7: ari.pasword_file: is not a known key. Did you mean 'password_file'"),
        ("ledgers: {}", "1:1: ledgers: is not a known key. Did you mean 'ledger'"),
    ):
        path.write_text(text)
        [fault] = faults(path, {})
        assert fault.startswith(f"{path}:{expected}")
    [fault] = faults(tmp_path / "none.yaml", {})
    assert "cannot be read" in fault


def test_a_fault_of_the_environment_names_the_variable(tmp_path):
    path = tmp_path / "idtone.yaml"
    path.write_text("node: x\n")
    for file in (None, path):
        both = faults(file, {"IDTONE_POLICY_REFUSE_CAUSE": "none", "IDTONE_ARI_URL": "x"})
        assert [fault.split(": ")[:2] for fault in both] == [
            ["environment", "IDTONE_ARI_URL"],
            ["environment", "IDTONE_POLICY_REFUSE_CAUSE"],
        ]


def test_other_servers_without_a_postgresql_of_its_own_are_refused_where_they_are_named(tmp_path):
    """Only the files and the environment together show the fault."""
    path, above = tmp_path / "idtone.yaml", tmp_path / "idtone.d" / "fleet.yaml"
    above.parent.mkdir()
    named = "ledger:\n  others: [postgresql://idtone@db-2.example/idtone]\n"
    expected = (
        "ledger.others: has no effect: ledger.url names no PostgreSQL. "
        "Name the PostgreSQL of this node in ledger.url, or remove this key"
    )
    path.write_text(named)
    assert faults(path, {}) == [f"{path}:2:3: {expected}"]
    assert load_settings(path, {"IDTONE_LEDGER_URL": "postgresql://idtone@db-1.example/idtone"}).ledger.others
    path.write_text("node: x\n")
    above.write_text(named)
    assert faults(path, {}) == [f"{above}:2:3: {expected}"]
    above.write_text("")
    (fault,) = faults(path, {"IDTONE_LEDGER_OTHERS": "postgresql://idtone@db-2.example/idtone"})
    assert fault == "environment: " + expected.replace("ledger.others", "IDTONE_LEDGER_OTHERS")


def test_an_unknown_variable_is_an_error_that_shows_no_value():
    for name, remedy in (
        ("IDTONE_ARI_URI", "Did you mean IDTONE_ARI_URL"),
        ("IDTONE_LEDGER_RESERVES", "Did you mean IDTONE_LEDGER_RESERVE"),
        ("IDTONE_CONFIGS", "Did you mean IDTONE_CONFIG"),
        ("IDTONE_X", "Remove it; IDTONE_ARI_URL is the setting ari.url"),
        ("IDTONE_", "Remove it; IDTONE_ARI_URL is the setting ari.url"),
    ):
        [fault] = faults(None, {name: "secret", "IDTONE_NODE": "x"})
        assert fault == f"environment: {name}: is not a variable that idtone knows. {remedy}"
    others = ("ARI_USER", "IDTONE_CONFIG", "IDTONE_PASSPHRASE", "_IDTONE_COMPLETE", "idtone_x")
    assert load_settings(None, dict.fromkeys(others, "x")) == load_settings(None, {})
    (option,) = (each for each in get_args(ConfigOption) if hasattr(each, "envvar"))
    assert option.envvar == CONFIG, "the option for the settings file reads the variable that is known"


def test_the_password(tmp_path):
    secret = tmp_path / "ari.password"
    secret.write_text("of-file\n")
    of_file = {"IDTONE_ARI_PASSWORD_FILE": str(secret)}
    assert load_settings(None, of_file).ari.secret() == "of-file"
    settings = load_settings(None, of_file | {"IDTONE_ARI_PASSWORD": "of-environment"})
    assert settings.ari.secret() == "of-environment"
    assert "of-environment" not in repr(settings)
    with pytest.raises(DocumentError, match=r"ari\.password_file: is not set.*IDTONE_ARI_PASSWORD"):
        load_settings(None, {}).ari.secret()
    with pytest.raises(DocumentError, match="cannot be read"):
        load_settings(None, {"IDTONE_ARI_PASSWORD_FILE": str(tmp_path / "none")}).ari.secret()


def test_the_ledger_is_the_nodes_own_file_with_or_without_postgresql(tmp_path):
    own = Settings().ledger
    assert (own.is_shared(), own.own_url(), own.secret()) == (False, own.url, None)
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    shared = LedgerSettings(url="postgresql://db/x", spool=Path("/a/b.sqlite3"), password_file=secret)
    assert (shared.is_shared(), shared.own_url(), shared.secret()) == (True, "sqlite:////a/b.sqlite3", "s3cret")
    assert shared.model_copy(update={"password": "other"}).secret() == "other"
    with pytest.raises(DocumentError, match="cannot be read"):
        LedgerSettings(password_file=tmp_path / "absent").secret()


def test_the_policy_of_the_settings():
    changes = {"UNLICENSED": "refuse", "REFUSE_CAUSE": "1", "REGISTRY_STALE": "P1D"}
    policy = load_settings(None, {f"IDTONE_POLICY_{name}": text for name, text in changes.items()}).policy.policy(None)
    assert policy == Policy(unlicensed=Unlicensed.REFUSE, refuse_cause=1, registry_stale=timedelta(days=1))
    assert policy.notify[Direction.OUTGOING] == {Party.CALLED}


def test_the_node_s_member_is_part_of_the_policy():
    changes = {"FOREIGN_NUMBERS": "notice", "UNKNOWN_NUMBERS": "notice"}
    policy = load_settings(None, {f"IDTONE_POLICY_{name}": text for name, text in changes.items()}).policy
    notice = Unlicensed.NOTICE
    assert policy.policy("m-1") == Policy(member="m-1", foreign_numbers=notice, unknown_numbers=notice)


IN_COMMENT_ONLY = {("node",), ("ari", "password"), ("ledger", "password")}
"""Settings that the shipped file has only in comments: it cannot know the machine's name, and should not have a
password.
"""


def test_the_shipped_file_has_the_defaults_and_every_key(shipped):
    text, settings = shipped.read_text("utf-8"), load_settings(shipped, {})
    assert settings == Settings()
    for location in locations():
        if location in IN_COMMENT_ONLY:
            assert re.search(rf"^ *#.*({location[-1]}:|{variable_name(location)})", text, re.MULTILINE), location
            continue
        written = settings
        for step in location:
            assert step in written.model_fields_set, f"{'.'.join(location)} is missing in config/idtone.yaml"
            written = getattr(written, step)


def test_the_shipped_file_explains_itself_in_both_languages(shipped):
    comments = [line for line in shipped.read_text(encoding="utf-8").splitlines() if "#" in line]
    japanese = [line for line in comments if re.search(r"[぀-ヿ一-鿿]", line)]
    assert len(japanese) >= 15
    assert len(comments) - len(japanese) >= 15


@pytest.mark.parametrize(
    ("section", "listen", "address"),
    [
        ("agi", "127.0.0.1:4573", ("127.0.0.1", 4573)),
        ("agi", "127.8.0.2:65535", ("127.8.0.2", 65535)),
        ("agi", "[::1]:1", ("::1", 1)),
        ("agi", "unix:/run/idtone/agi.sock", Path("/run/idtone/agi.sock")),
        ("metrics", None, None),
        ("metrics", "0.0.0.0:1", ("0.0.0.0", 1)),
        ("metrics", "[::]:9", ("::", 9)),
    ],
)
def test_where_the_service_listens(section, listen, address):
    assert getattr(Settings.model_validate({section: {"listen": listen}}), section).address() == address


def test_agi_refuses_other_addresses():
    public = ["0.0.0.0:4573", "[::]:4573", "192.0.2.1:4573", "[2001:db8::1]:4573"]
    malformed = [
        "localhost:4573", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:4573", "127.1:4573", "unix:agi.sock",
        "unix:", "unix:/" + 90 * "x",
        "unix:/run/\0", "unix:/run/a,b", "unix:/run/${A}", "unix:/run/a b", "", "٣.0.0.1:4573",
    ]  # fmt: skip
    for listen in (*public, *malformed):
        (fault,) = faults(None, {"IDTONE_AGI_LISTEN": listen})
        assert fault.startswith("environment: IDTONE_AGI_LISTEN: "), listen
        assert "unix:/run/idtone/agi.sock" in fault, listen
        assert ("is not a loopback address, and AGI is not encrypted; use ARI" in fault) == (listen in public), listen


def test_metrics_need_an_address_and_a_port():
    told = "is not an IP address and a port. Write it like 127.0.0.1:9573, or null for no metrics"
    for listen in ("localhost:9573", "9573", "127.0.0.1:0", "unix:/run/x.sock", ""):
        (fault,) = faults(None, {"IDTONE_METRICS_LISTEN": listen})
        assert str(fault) == f"environment: IDTONE_METRICS_LISTEN: {told}"


def test_the_journal_is_beside_the_sounds_unless_its_folder_is_named():
    assert Settings().journal_directory() == Path("/var/lib/asterisk/sounds/idtone/journal")
    moved = {"IDTONE_SOUNDS_DIRECTORY": "/srv/sounds"}
    assert load_settings(None, moved).journal_directory() == Path("/srv/sounds/journal")
    named = moved | {"IDTONE_JOURNAL_DIRECTORY": "/run/idtone-journal"}
    assert load_settings(None, named).journal_directory() == Path("/run/idtone-journal")


AGI_OVER_TCP = {"IDTONE_INTERFACE": "agi", "IDTONE_AGI_LISTEN": "127.0.0.1:4573", "IDTONE_ARI_PASSWORD": "s3cret"}


def agi_secret(**changes: str) -> str:
    return load_settings(None, AGI_OVER_TCP | changes).agi_secret()


def test_the_secret_of_agi_is_derived_from_the_password_and_does_not_show_it(tmp_path):
    """The service and the hook derive it from the same settings, at different times."""
    password = tmp_path / "ari.password"
    password.write_text("s3cret\n")
    of_file = {"IDTONE_INTERFACE": "agi", "IDTONE_ARI_PASSWORD_FILE": str(password)}
    assert re.fullmatch(r"[0-9a-f]{32}", agi_secret())
    assert load_settings(None, of_file).agi_secret() == agi_secret() == agi_secret(IDTONE_AGI_LISTEN="[::1]:14573")
    secrets = {agi_secret(IDTONE_ARI_PASSWORD=password) for password in ("s3cret", "S3cret", "s3cret ", "")}
    assert len(secrets) == 4
    assert agi_secret(IDTONE_ARI_USER="other") == agi_secret()
    assert "s3cret" not in agi_secret()


def test_only_agi_over_tcp_needs_a_secret_and_a_password(tmp_path):
    for environment in (
        {},
        {"IDTONE_INTERFACE": "ari", "IDTONE_AGI_LISTEN": "127.0.0.1:4573"},
        {"IDTONE_INTERFACE": "agi", "IDTONE_AGI_LISTEN": "unix:/run/idtone/agi.sock"},
    ):
        for password in ({}, {"IDTONE_ARI_PASSWORD": "s3cret"}):
            assert load_settings(None, environment | password).agi_secret() == "", environment
    without = {name: value for name, value in AGI_OVER_TCP.items() if name != "IDTONE_ARI_PASSWORD"}
    with pytest.raises(DocumentError, match=r"ari\.password_file: is not set"):
        load_settings(None, without).agi_secret()
