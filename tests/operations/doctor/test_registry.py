"""The registry and its licences → findings."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from idtone.calls import Trust
from idtone.errors import DocumentError, TrustError
from idtone.operations.doctor import registry
from idtone.operations.doctor.findings import State
from idtone.operations.doctor.shared_file_findings import Rights
from idtone.registry.index import RegistryIndex, Signed
from idtone.registry.model import SuspensionsDocument
from idtone.registry.sources import parse_document
from idtone.tones.profile_library import load_library

from ...conftest import LAB_REGISTRY

TEXT = LAB_REGISTRY.read_text("utf-8")
PATH = "/etc/idtone/registry.yaml"
NOW = datetime.fromisoformat("2026-11-20T00:00:00+09:00")
EXPIRES = datetime.fromisoformat("2036-11-01T00:00:00+09:00")
DAY = timedelta(days=1)


def document(text: str = TEXT):
    return parse_document(text, "registry.yaml")


def test_a_good_registry_is_counted():
    finding = registry.readable(document(), PATH, NOW)
    assert finding.state is State.GOOD
    assert "version 42: 5 members, 5 licences, 1105 numbers, 1 suspensions in force" in finding.found


def test_a_registry_from_the_future_is_bad():
    finding = registry.readable(document(), PATH, datetime.fromisoformat("2026-10-01T00:00:00+09:00"))
    assert finding.state is State.BAD
    assert "future" in finding.found


def test_faults_are_shown_by_their_places_without_a_number():
    twice = TEXT.replace('numbers: ["0352345678"]', 'numbers: ["0352345678", "0312345700", "03-12"]')
    with pytest.raises(DocumentError) as faulty:
        document(twice)
    finding = registry.faulty(faulty.value, PATH)
    assert finding.state is State.BAD
    assert re.search(r"has \d+ faults, the first in line \d+", finding.found)
    assert not re.search(r"\d{4,}", finding.found + finding.remedy)
    assert f"idtone registry check {PATH}" in finding.remedy


@pytest.mark.parametrize(
    ("now", "grace", "state"),
    [
        (EXPIRES - 8 * DAY, 0 * DAY, State.GOOD),
        (EXPIRES - 6 * DAY, 0 * DAY, State.WARNING),
        (EXPIRES, 0 * DAY, State.BAD),
        (EXPIRES, 1 * DAY, State.WARNING),
        (EXPIRES + DAY, 1 * DAY, State.BAD),
    ],
)
def test_the_expiry(now, grace, state):
    assert registry.fresh(RegistryIndex(document()), now, grace).state is state


def test_signatures_that_were_not_renewed_give_a_warning():
    signed = Signed(SuspensionsDocument(issued=NOW), NOW + 7 * DAY)
    index = RegistryIndex(document(TEXT.partition("suspensions:")[0]), signed)
    assert registry.fresh(index, NOW, 0 * DAY).state is State.GOOD
    late = registry.fresh(index, NOW + 6 * DAY, 0 * DAY)
    assert late.state is State.WARNING
    assert "idtone registry update" in late.remedy


def test_who_signed_the_registry():
    assert registry.trusted(Trust.SIGNED, PATH).state is State.GOOD
    unsigned = registry.trusted(Trust.UNSIGNED, PATH)
    assert unsigned.state is State.WARNING
    assert "trust: ROOT.json" in unsigned.remedy


def test_a_registry_with_wrong_signatures():
    finding = registry.faulty(TrustError("it is not what the association signed"), PATH)
    assert finding.state is State.BAD
    assert "idtone registry update" in finding.remedy


@pytest.mark.parametrize(
    ("now", "state", "found"),
    [
        (NOW, State.GOOD, "1 expired, 1 not yet valid, 1 revoked, 2 valid"),
        (datetime.fromisoformat("2036-01-01T00:00:00+09:00"), State.WARNING, "ending within 30 days: L-0001"),
        (datetime.fromisoformat("2037-01-01T00:00:00+09:00"), State.WARNING, "4 expired, 1 revoked"),
    ],
)
def test_the_licences(now, state, found):
    finding = registry.standing(document(), now)
    assert finding.state is state
    assert found in finding.found


def test_no_licence_at_all():
    bare = document(re.sub(r"members:.*?\nsuspensions:", "members: []\nsuspensions:", TEXT, flags=re.DOTALL))
    assert registry.standing(bare, NOW).found == "no licence"
    assert registry.sounds(bare, load_library(), NOW).state is State.GOOD


def test_licensed_sounds_need_a_proven_profile():
    library = load_library()
    assert registry.sounds(document(), library, NOW).state is State.GOOD
    missing = registry.sounds(document(), {"notice": library["notice"]}, NOW)
    assert missing.state is State.BAD
    assert "no profile for sample" in missing.found
    assert "idtone tone import MASTER --id sample" in missing.remedy
    recorded = TEXT.replace("title: Sample sound}", f"title: Sample sound, sha256: {'ab' * 32}}}")
    doubted = registry.sounds(document(recorded), library, NOW)
    assert doubted.state is State.BAD
    assert "synthesised" in doubted.found


CACHE = Path("/var/lib/idtone/registry")
ABOVE = [
    Rights(Path("/"), 0o755, 0, 0),
    Rights(Path("/var"), 0o755, 0, 0),
    Rights(Path("/var/lib/idtone"), 0o700, 5, 5),
]
FOLDER, METADATA = Rights(CACHE, 0o700, 5, 5), Rights(CACHE / "metadata", 0o700, 5, 5)
ROOT_JSON = Rights(CACHE / "metadata" / "root.json", 0o600, 5, 5)
OPEN_FOLDER = Rights(CACHE, 0o755, 5, 5)


def kept(held, above=ABOVE, ourselves=5):
    return registry.kept(CACHE, above, held, ourselves)


@pytest.mark.parametrize("ourselves", [0, 5])
def test_only_the_service_owns_the_copy(ourselves):
    finding = kept([FOLDER, METADATA, ROOT_JSON], ourselves=ourselves)
    assert (finding.state, finding.found) == (State.GOOD, f"{CACHE}, to which only the user 5 can write")


@pytest.mark.parametrize(
    ("held", "above", "named"),
    [
        ([Rights(CACHE, 0o770, 5, 5)], ABOVE, f"{CACHE} (mode 0770)"),
        ([Rights(CACHE, 0o777, 5, 5)], ABOVE, f"{CACHE} (mode 0777)"),
        ([OPEN_FOLDER, Rights(CACHE / "kept.json", 0o646, 5, 5)], ABOVE, f"{CACHE / 'kept.json'} (mode 0646)"),
        ([OPEN_FOLDER, Rights(CACHE / "kept.json", 0o664, 5, 5)], ABOVE, f"{CACHE / 'kept.json'} (mode 0664)"),
        ([FOLDER], [*ABOVE[:2], Rights(Path("/var/lib/idtone"), 0o775, 5, 5)], "/var/lib/idtone (mode 0775)"),
    ],
)  # fmt: skip
def test_other_users_can_write_to_the_copy(held, above, named):
    finding = kept(held, above)
    assert finding.state is State.BAD
    assert finding.found == f"other users can write to {named}"
    assert "chmod go-w" in finding.remedy
    assert "idtone registry update" in finding.remedy


@pytest.mark.parametrize(
    "held",
    [
        [FOLDER, Rights(CACHE / "kept.json", 0o666, 5, 5)],  # the folder keeps other users out
        [OPEN_FOLDER, METADATA, Rights(METADATA.path / "root.json", 0o666, 5, 5)],
        [Rights(CACHE, 0o711, 5, 5), Rights(CACHE / "kept.json", 0o644, 0, 0)],  # root's
    ],
)
def test_only_the_service_can_write_to_the_copy(held):
    assert kept(held).state is State.GOOD


def test_a_folder_with_the_sticky_bit():
    assert kept([FOLDER], [*ABOVE[:2], Rights(Path("/tmp"), 0o1777, 0, 0)]).state is State.GOOD  # noqa: S108


def test_another_user_owns_the_copy():
    strange = kept([FOLDER, Rights(CACHE / "kept.json", 0o600, 6, 5)])
    assert strange.found == f"another user owns {CACHE / 'kept.json'} (user 6)"
    assert "chown -R 5" in strange.remedy
    assert kept([FOLDER], [Rights(Path("/var"), 0o755, 6, 0)]).state is State.BAD
    other = kept([FOLDER], ourselves=6)
    assert other.found == f"{CACHE} belongs to the user 5, but this runs as 6"
    assert {strange.state, other.state} == {State.BAD}


def test_an_access_control_list_makes_it_unknown():
    assert kept([FOLDER, Rights(CACHE / "kept.json", 0o600, 5, 5, listed=True)]).state is State.UNKNOWN


def test_no_copy_yet_or_an_unsigned_registry():
    assert kept([]).state is State.WARNING
    assert registry.not_kept().state is State.GOOD
