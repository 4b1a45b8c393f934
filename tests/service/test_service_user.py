"""Commands of root act as the user of the unit, and can read only what this user can read."""

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from idtone.core.errors import LedgerError, TrustError, UsageError
from idtone.core.settings.settings import RegistrySettings, Settings
from idtone.service import service_user
from idtone.service.commands import check_settings
from idtone.service.service_user import ServiceUser, act_as_service, read_as_service, refuse_root, unit_user
from lab.call_control.unix_users import acting_as, needs_root
from lab.registry.trust.association import Association

SERVICE = pwd.getpwnam("daemon")

pytestmark = needs_root


@pytest.fixture
def place() -> Iterator[Path]:
    """Folder that other users can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def unit(options: str) -> dict[str, str]:
    """What systemd shows of a unit that runs as another user. It joins the words of a command without quotes."""
    command = f"{{ path=/usr/bin/idtone ; argv[]=/usr/bin/idtone serve{options} ; ignore_errors=no ; pid=0 }}"
    return {"LoadState": "loaded", "User": SERVICE.pw_name, "Group": "", "ExecStart": command}


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch, place: Path) -> list[str]:
    """Users that this process became, for a unit that runs as another user, with the settings in `place`."""
    names: list[str] = []
    monkeypatch.setattr(service_user, "unit_properties", lambda *_: unit(f" -c {place}/idtone.yaml"))
    monkeypatch.setattr(ServiceUser, "become", lambda user: names.append(user.name))
    return names


def test_missing_folders_are_the_services(place: Path, became: list[str]) -> None:
    """New folders belong to the service's user even before the first start, when no file shows this user."""
    cache = place / "lib" / "registry"
    act_as_service(place / "idtone.yaml", cache, place)
    assert became == [SERVICE.pw_name]
    assert {(each.stat().st_uid, each.stat().st_mode & 0o777) for each in (cache, cache.parent)} == {
        (SERVICE.pw_uid, 0o700)
    }


def test_what_is_roots_is_named_with_the_command_that_mends_it(place: Path, became: list[str]) -> None:
    cache = place / "registry"
    cache.mkdir()
    with pytest.raises(UsageError, match=rf"run: chown -R {SERVICE.pw_name}: {cache}"):
        act_as_service(place / "idtone.yaml", cache, place)
    os.chown(cache, SERVICE.pw_uid, SERVICE.pw_gid)
    act_as_service(place / "idtone.yaml", cache, place, whole=True)
    (cache / ".lock").touch()
    with pytest.raises(UsageError, match=rf"{cache}/\.lock does not belong"):
        act_as_service(place / "idtone.yaml", cache, place, whole=True)
    assert became == [SERVICE.pw_name]


def test_other_settings_than_the_units_are_not_the_services(place: Path, became: list[str]) -> None:
    assert unit_user(place / "idtone.yaml")
    assert unit_user(place / "other.yaml") is None
    act_as_service(place / "other.yaml", place / "registry", place)
    read_as_service(place / "other.yaml")
    refuse_root(place / "other.yaml")
    assert became == []


@pytest.mark.parametrize(
    ("options", "config", "is_the_units"),
    [
        ("", None, True),
        ("", "/etc/idtone/other.yaml", False),
        (" -c /srv/a.yaml", "/srv/a.yaml", True),
        (" --config /srv/a.yaml --check", "/srv/a.yaml", True),
        (" -c /srv/a.yaml", None, False),
        (" -c /srv/the pbx/a.yaml", "/srv/the pbx/a.yaml", True),
        (" -c /srv/the pbx/a.yaml", "/srv/the", False),
        (" -c /srv/a.yaml.old", "/srv/a.yaml", False),
    ],
)
def test_the_units_settings_are_known_by_their_whole_path(
    monkeypatch: pytest.MonkeyPatch, options: str, config: str | None, is_the_units: bool
) -> None:
    monkeypatch.setattr(service_user, "unit_properties", lambda *_: unit(options))
    assert (unit_user(None if config is None else Path(config)) is not None) is is_the_units


def test_root_does_not_serve_beside_the_unit_of_another_user(place: Path, became: list[str]) -> None:
    with pytest.raises(UsageError, match="systemctl start idtone"):
        refuse_root(place / "idtone.yaml")


def test_a_check_finds_what_the_service_cannot_read(place: Path, settings: Settings, tmp_path: Path) -> None:
    """The service cannot read the registry that root has fetched, or the ledger's key."""
    association = Association(tmp_path / "association")
    association.begin()
    root = place / "root.json"
    root.write_bytes(association.root().read_bytes())
    cache, key = place / "registry", place / "key"
    settings = settings.model_copy(
        update={
            "registry": RegistrySettings(source=str(association.repository), trust=str(root), cache=cache),
            "ledger": settings.ledger.model_copy(update={"key_file": key}),
        }
    )
    check_settings(settings)  # it imports modules that another user may not read
    with acting_as(SERVICE.pw_uid, SERVICE.pw_gid):
        check_settings(settings)
    cache.mkdir(0o700)
    with (
        acting_as(SERVICE.pw_uid, SERVICE.pw_gid),
        pytest.raises(TrustError, match=f"chown -R {SERVICE.pw_name}: {cache}"),
    ):
        check_settings(settings)
    os.chown(cache, SERVICE.pw_uid, SERVICE.pw_gid)
    key.write_bytes(bytes(32))
    key.chmod(0o600)
    with acting_as(SERVICE.pw_uid, SERVICE.pw_gid), pytest.raises(LedgerError, match="the key cannot be read"):
        check_settings(settings)
