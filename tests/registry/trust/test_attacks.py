"""A table of the attacks that need some keys, from the TUF specification (section 1.5.2 and the client workflow, 5) and
from tuf-conformance. Each attack is made against a member that has taken a good generation; the member must take
nothing from the attack. Attacks without keys, and the replacement of stolen keys, are in `test_publication_client`.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from idtone.core.errors import TrustError
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.tuf_roles import Keys
from lab.registry.trust.association import NEVER, STOPPED, SUSPENSIONS, Association, Machine
from lab.registry.trust.forge_role import Change, forge, latest

PAST = (datetime.now(UTC) - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
BEYOND = 2**31
"""A version that the association's next versions will not reach."""


Attack = Callable[[Association], None]


def few(role: str, beside: Callable[[list[dict[str, Any]]], object] = len) -> Attack:
    """Attack in which only one of the key holders signs."""
    return lambda association: forge(
        association, role, signers=association.signers(tuf_roles.ROLES[role].keys)[:1], beside=beside
    )


def in_anothers_name(role: str) -> Attack:
    """Attack in which the holder of one key signs twice, once under another holder's name."""

    def attack(association: Association) -> None:
        one, other = association.signers(tuf_roles.ROLES[role].keys)[:2]
        renamed = {"keyid": other.public_key.keyid}
        forge(association, role, signers=[one], beside=lambda made: made.append(made[0] | renamed))

    return attack


def saying(role: str, **said: object) -> Attack:
    return lambda association: forge(association, role, lambda signed: signed.update(said))


def root_with(change: Change, *, timestamp: Sequence[int] = ()) -> Attack:
    """Attack with a changed root that its owners have signed, by mistake or under duress. Some of the duty keys have
    signed a timestamp for it.
    """

    def attack(association: Association) -> None:
        forge(association, "root", change)
        duty = association.signers(Keys.DUTY)
        forge(association, "timestamp", signers=[duty[place] for place in timestamp])

    return attack


def _no_signature_needed(root: dict[str, Any]) -> None:
    root["roles"]["timestamp"]["threshold"] = 0


def _one_id_twice(root: dict[str, Any]) -> None:
    role = root["roles"]["timestamp"]
    role["keyids"] = [role["keyids"][0]] * 2


def _another_key_of_the_same_id(root: dict[str, Any]) -> None:
    for keyid in root["roles"]["timestamp"]["keyids"]:
        root["keys"][keyid]["keyval"]["public"] = "00" * 32


def one_key_of_two_ids(association: Association) -> None:
    """Give one key two ids, so that one owner would reach the threshold alone."""
    one = association.signers(Keys.DUTY)[0]

    def change(root: dict[str, Any]) -> None:
        root["keys"]["ab" * 32] = root["keys"][one.public_key.keyid]
        root["roles"]["timestamp"]["keyids"] = [one.public_key.keyid, "ab" * 32]

    forge(association, "root", change)
    forge(association, "timestamp", signers=[one], beside=lambda made: made.append(made[0] | {"keyid": "ab" * 32}))


def one_key_of_two_ids_for_the_suspensions(association: Association) -> None:
    one = association.signers(Keys.DUTY)[0]

    def change(targets: dict[str, Any]) -> None:
        delegations = targets["delegations"]
        delegations["keys"]["ab" * 32] = delegations["keys"][one.public_key.keyid]
        for role in delegations["roles"]:
            if role["name"] == tuf_roles.SUSPENSIONS:
                role["keyids"] = [one.public_key.keyid, "ab" * 32]

    forge(association, "targets", change)
    forge(association, "suspensions", signers=[one], beside=lambda made: made.append(made[0] | {"keyid": "ab" * 32}))


def older(role: str) -> Attack:
    """Attack in which a new snapshot names an earlier version of a role."""
    earlier = {f"{role}.json": {"version": 1}}
    return lambda association: forge(association, "snapshot", lambda snapshot: snapshot["meta"].update(earlier))


def _without_the_suspensions(snapshot: dict[str, Any]) -> None:
    del snapshot["meta"]["suspensions.json"]


def _without_the_list(role: dict[str, Any]) -> None:
    role["targets"] = {}


def _not_theirs(targets: dict[str, Any]) -> None:
    for role in targets["delegations"]["roles"]:
        role["paths"] = ["another.yaml"]


ROLES = tuple(tuf_roles.ROLES)
ATTACKS: dict[str, Attack] = {
    # wrong threshold
    **{f"{role}: signed by one": few(role) for role in ROLES},
    # duplicate key ids, and key ids that are not the key's
    **{f"{role}: one signature twice": few(role, lambda made: made.extend(made)) for role in ROLES},
    **{f"{role}: one signature in the name of two": in_anothers_name(role) for role in ROLES},
    "root: one key id listed twice": root_with(_one_id_twice, timestamp=[0]),
    "root: one key under two ids": one_key_of_two_ids,
    "targets: one key under two ids": one_key_of_two_ids_for_the_suspensions,
    "root: a key under the id of another": root_with(_another_key_of_the_same_id, timestamp=[0, 1]),
    # invalid thresholds
    "root: no signature needed": root_with(_no_signature_needed),
    # expired, each alone
    **{f"{role}: expired": saying(role, expires=PAST) for role in ROLES},
    # rollback
    **{f"snapshot: an older {role}": older(role) for role in ("targets", *tuf_roles.DELEGATED)},
    "timestamp: an older snapshot": saying("timestamp", meta={"snapshot.json": {"version": 1}}),
    "timestamp: an older one": saying("timestamp", version=1),
    # the chain of roots
    "root: of the same version": saying("root", version=1),
    "root: one is left out": saying("root", version=3),
    # mix and match
    "snapshot: without the suspensions": lambda association: forge(association, "snapshot", _without_the_suspensions),
    **{
        f"{role}: another version than its snapshot's": saying(role, version=BEYOND)
        for role in ("snapshot", "targets")
    },
    # wrong type of metadata
    **{f"{role}: in another version of TUF": saying(role, spec_version="2.0.0") for role in ROLES},
    **{f"{role}: of another type": saying(role, _type="mirrors") for role in ROLES},
    **{f"{role}: version 0": saying(role, version=0) for role in ROLES},
    # oversized
    **{f"{role}: too large": saying(role, padding="x" * 300_000) for role in ROLES},
    # what was published before is missing
    "never-originates: no list any more": lambda association: forge(
        association, tuf_roles.NEVER_ORIGINATES, _without_the_list
    ),
    # delegations
    "targets: files without a role": lambda association: forge(association, "targets", _not_theirs),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine that has accepted a second version of all roles except the root."""
    folder = tmp_path_factory.mktemp("made")
    association = Association(folder / "association")
    association.begin()
    association.write((association.folder / tuf_roles.REGISTRY_FILE).read_text() + "# changed\n", STOPPED, NEVER)
    association.publish()
    forge(association, "targets")
    machine = Machine(association, folder / "machine")
    machine.take()
    return machine


@pytest.fixture
def machine(made: Machine, tmp_path: Path) -> Machine:
    """A copy of `made` for one test."""
    shutil.copytree(made.folder.parent, tmp_path, dirs_exist_ok=True)
    association = Association(tmp_path / "association", dict(made.association.keys), new=False)
    return Machine(association, tmp_path / "machine")


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_it_is_refused(machine, attack):
    kept = machine.repository().last_good()
    assert kept
    attack(machine.association)
    with pytest.raises(TrustError, match=r"what the association signed|cannot be read|is not signed by its role"):
        machine.repository().update()
    assert machine.repository().last_good() == kept
    assert kept.read(tuf_roles.SUSPENSIONS_FILE) == STOPPED
    assert kept.read(tuf_roles.NEVER_ORIGINATES_FILE) == NEVER


@pytest.mark.parametrize("role", ROLES)
def test_the_same_changes_by_the_rightful_signers_are_taken(machine, role):
    """The same changes with good signatures are accepted. So the attacks fail only because of their signatures."""
    forge(machine.association, role)
    assert machine.take().read(tuf_roles.SUSPENSIONS_FILE) == STOPPED
    version = json.loads(latest(machine.association, role).read_text())["signed"]["version"]
    assert json.loads((machine.cache / tuf_roles.METADATA / f"{role}.json").read_text())["signed"]["version"] == version


def test_an_unknown_signature_and_a_key_id_without_its_key_do_no_harm(machine):
    duty = machine.association.signers(Keys.DUTY)
    forge(machine.association, "timestamp", signers=[*duty, CryptoSigner.generate_ed25519()])
    machine.take()
    forge(machine.association, "root", lambda root: root["roles"]["timestamp"]["keyids"].append("ab" * 32))
    machine.take()


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "suspensions"])
def test_after_key_rotation_the_association_overtakes_the_thiefs_versions(machine, role):
    """Fast-forward attack: the thief's version numbers are so high that the association's later ones are lower."""
    association = machine.association
    honest = association.repository.with_name("honest")
    shutil.copytree(association.repository, honest)
    _run_ahead(association, role)
    machine.take()
    shutil.rmtree(association.repository)
    honest.rename(association.repository)
    association.write(suspensions=SUSPENSIONS)
    for _ in range(2):  # the thief has made one more timestamp
        association.publish()
    with pytest.raises(TrustError, match="not what the association signed"):
        machine.repository().update()
    new = [CryptoSigner.generate_ed25519() for _ in association.keys[Keys.DUTY]]
    public = {Keys.DUTY: [signer.public_key for signer in new]}
    association.workspace.rotate(public, [*association.signers(), *new], datetime.now(UTC))
    association.keys[Keys.DUTY] = new
    association.publish()
    assert machine.take().read(tuf_roles.SUSPENSIONS_FILE) == SUSPENSIONS


def _run_ahead(association: Association, role: str) -> None:
    path = latest(association, role)
    document = json.loads(path.read_text())
    document["signed"]["version"] = BEYOND
    path = path if role == "timestamp" else path.with_name(f"{BEYOND}.{role}.json")
    path.write_text(json.dumps(document))
    forge(association, role)
