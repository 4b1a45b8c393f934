"""The publications that a member's machine accepts or refuses: the cases of the TUF specification for a client."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from idtone.core.errors import IdtoneError, TrustError
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.tuf_roles import Keys
from lab.registry.trust.association import STOPPED, SUSPENSIONS, Association, Machine

REGISTRY, STOPS = tuf_roles.REGISTRY_FILE, tuf_roles.SUSPENSIONS_FILE


def metadata(association: Association, name: str) -> Path:
    return association.repository / tuf_roles.METADATA / name


def test_a_publication_is_taken(association, machine):
    published = machine.take()
    assert published.read(REGISTRY) == (association.folder / REGISTRY).read_text()
    assert published.read(STOPS) == SUSPENSIONS
    in_a_week = datetime.now(UTC) + tuf_roles.ROLES["timestamp"].lasts
    assert abs(published.expires - in_a_week) < timedelta(hours=12)  # it was begun for the first test of a run
    assert machine.repository().last_good() == published


@pytest.mark.parametrize("sets", [[Keys.DUTY], [Keys.DUTY, Keys.REGISTRY]])
def test_a_role_past_half_its_term_is_signed_again(association, sets):
    assert association.publish(association.signers(Keys.DUTY)) == ["snapshot", "timestamp"]
    signed = association.publish(association.signers(*sets), datetime.now(UTC) + timedelta(days=50))
    assert (
        signed == ["registry", "suspensions", "never-originates", "snapshot", "timestamp"][Keys.REGISTRY not in sets :]
    )


def refused(machine: Machine, why: str = ".") -> None:
    """Check that the machine accepts nothing, and that its stored generation stays."""
    kept = machine.repository().last_good()
    with pytest.raises(TrustError, match=why):
        machine.repository().update()
    assert machine.repository().last_good() == kept


def test_arbitrary_software_and_rollback(association, machine):
    """The attacker has keys that are not the association's, or earlier files of the association."""
    other = Association(association.folder.with_name("other"))
    other.begin()
    old = association.repository.with_name("old")
    shutil.copytree(association.repository, old)
    association.write(suspensions=STOPPED)
    association.publish()
    assert machine.take().read(STOPS) == STOPPED
    for attack in (other.repository, old):
        shutil.rmtree(association.repository)
        shutil.copytree(attack, association.repository)
        refused(machine, "not what the association signed")


@contextmanager
def spoiled(path: Path, change: Callable[[bytes], bytes] | None) -> Iterator[None]:
    good = path.read_bytes()
    if change:
        path.write_bytes(change(good))
    else:
        path.unlink()
    yield
    path.write_bytes(good)


def test_files_that_are_not_as_they_were_signed(association, tmp_path):
    def signs_the_other_ones_file(octets: bytes) -> bytes:
        document = json.loads(octets)
        document["signed"]["targets"][REGISTRY] = document["signed"]["targets"][STOPS]
        return json.dumps(document).encode()

    (target,) = association.repository.glob(f"targets/*.{STOPS}")
    for path, change, why in (
        (metadata(association, "timestamp.json"), lambda octets: octets + b" " * 10_000_000, "exceeding"),
        (target, lambda octets: octets + b"#" * 10_000_000, "exceeding"),
        (metadata(association, "1.suspensions.json"), signs_the_other_ones_file, "."),
        *(
            (metadata(association, name), None, "cannot be read")
            for name in ("1.snapshot.json", "1.targets.json", "1.registry.json", "timestamp.json")
        ),
    ):
        with spoiled(path, change):
            refused(Machine(association, tmp_path / f"before {path.name} {why}"), why)


def flipped(at: int, octets: bytes) -> bytes:
    return octets[:at] + bytes([octets[at] ^ 0x20]) + octets[at + 1 :]


def test_every_octet_counts(association, machine):
    """A changed octet leaves the content equal, or the file is refused. The content never changes, and
    nothing crashes.
    """
    good = machine.take()
    meaning = (good.read(REGISTRY), good.read(STOPS))
    taken = tried = 0
    for path in sorted(association.repository.rglob("*.*")):
        size = path.stat().st_size
        for at in range(0, size, max(1, size // 10)):
            fresh = machine.folder.with_name("fresh")
            with spoiled(path, partial(flipped, at)), suppress(IdtoneError):
                published = Machine(association, fresh).take()
                taken += 1
                assert (published.read(REGISTRY), published.read(STOPS)) == meaning
            shutil.rmtree(fresh)
            tried += 1
    assert taken < tried / 3


@pytest.mark.parametrize("keys", Keys)
def test_the_root_replaces_stolen_keys(association, machine, keys):
    machine.take()
    stolen = association.signers(keys)
    new = [CryptoSigner.generate_ed25519() for _ in stolen]
    public = {keys: [signer.public_key for signer in new]}
    association.workspace.rotate(public, [*association.signers(), *new], datetime.now(UTC))
    association.keys[keys] = new
    association.write(suspensions=STOPPED)
    association.publish()
    assert machine.take().read(STOPS) == STOPPED
    association.write(suspensions=SUSPENSIONS)
    with pytest.raises(TrustError):
        association.publish([*stolen, *association.signers(*(set(Keys) - {keys, Keys.DUTY}))])


def test_a_new_root_needs_the_old_and_the_new_keys(association):
    new = [CryptoSigner.generate_ed25519() for _ in range(3)]
    public = {Keys.ROOT: [signer.public_key for signer in new]}
    for signers in (new, association.signers()):
        with pytest.raises(TrustError, match="root needs the signatures of 2"):
            association.workspace.rotate(public, [*signers, *association.signers(Keys.DUTY)], datetime.now(UTC))


def test_an_expired_root_is_good_only_for_its_successor(tmp_path):
    """A member that was offline for years has only the first root."""
    long_ago = datetime.now(UTC) - 2 * tuf_roles.ROLES["root"].lasts
    association = Association(tmp_path / "association")
    association.begin(long_ago)
    machine = Machine(association, tmp_path / "machine")
    association.publish(association.signers(Keys.DUTY, Keys.REGISTRY))
    refused(machine, "expired")
    for _ in range(3):
        association.publish(now=long_ago + tuf_roles.ROLES["root"].lasts)
    association.publish()
    assert machine.take().read(STOPS) == SUSPENSIONS
    assert len(list(association.repository.glob("metadata/*.root.json"))) >= 3


def test_a_member_trusts_only_its_own_root(association, machine, tmp_path):
    other = Association(tmp_path / "other")
    other.begin()
    machine.take()
    machine.trust.write_bytes(other.root().read_bytes())
    refused(machine, "not what the association signed")
    for content in ("", "registry: {}", "{}", metadata(association, "timestamp.json").read_text()):
        machine.trust.write_text(content)
        refused(machine, f"{machine.trust}: is not the root file of an association; replace it")
    machine.trust.unlink()
    with pytest.raises(TrustError, match=str(machine.trust)):
        machine.take()


def test_the_kept_generation_outlives_the_source_and_is_checked(association, machine):
    assert machine.repository().last_good() is None
    published = machine.take()
    published.path(STOPS).write_text(STOPPED)
    with pytest.raises(TrustError, match="was changed here"):
        published.read(STOPS)
    assert machine.take().read(STOPS) == SUSPENSIONS
    shutil.rmtree(association.repository)
    refused(machine, "cannot be read")
    kept = machine.repository().last_good()
    assert kept == published
    assert kept.read(REGISTRY) == (association.folder / REGISTRY).read_text()
    (machine.cache / "kept.json").write_text("{")
    with pytest.raises(TrustError, match="remove the folder"):
        machine.repository().last_good()
