"""Findings on the registry and its licences."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from idtone.core.calls import Direction, Party, Trust
from idtone.core.errors import DocumentError, TrustError
from idtone.operations.doctor import registry_findings
from idtone.operations.doctor.shared_file_findings import Rights
from idtone.registry.index import RegistryIndex, Signed
from idtone.registry.licence_lapses import LicenceLapse
from idtone.registry.model import SuspensionsDocument
from idtone.registry.sources import parse_document
from idtone.tones.profile_library import load_library
from lab.operations.doctor.check_tables import BAD, GOOD, UNKNOWN, WARNING, check
from lab.publication import LAB_REGISTRY

TEXT = LAB_REGISTRY.read_text("utf-8")
PATH = "/etc/idtone/registry.yaml"
NOW = datetime.fromisoformat("2026-11-20T00:00:00+09:00")
EXPIRES = datetime.fromisoformat("2036-11-01T00:00:00+09:00")
DAY = timedelta(days=1)
INCOMING, OUTGOING, CALLED, CALLER = Direction.INCOMING, Direction.OUTGOING, Party.CALLED, Party.CALLER
CACHE = Path("/var/lib/idtone/registry")
KEPT_JSON = CACHE / "kept.json"
ABOVE = [
    Rights(Path(path), mode, who, who)
    for path, mode, who in (("/", 0o755, 0), ("/var", 0o755, 0), ("/var/lib/idtone", 0o700, 5))
]
FOLDER, METADATA = Rights(CACHE, 0o700, 5, 5), Rights(CACHE / "metadata", 0o700, 5, 5)
ROOT_JSON = Rights(CACHE / "metadata" / "root.json", 0o600, 5, 5)
OPEN_FOLDER = Rights(CACHE, 0o755, 5, 5)


def document(text: str = TEXT):
    return parse_document(text, "registry.yaml")


def date(text):
    return datetime.fromisoformat(f"{text}T00:00:00+09:00")


def readable(now):
    return registry_findings.readable(document(), PATH, now)


def fresh(now, grace=0 * DAY):
    return registry_findings.registry_age(RegistryIndex(document()), now, grace)


def trusted(trust):
    return registry_findings.trusted(trust, PATH)


def node_member(member):
    return registry_findings.node_member(member, RegistryIndex(document()))


def standing(now, pledge="signed: 2026-01-05", lapses_in_days=None, *suspended):
    at = now + (lapses_in_days or 0) * DAY
    own = [] if lapses_in_days is None else [LicenceLapse(Direction.INCOMING, at, "L-9", *suspended)]
    return registry_findings.licence_states(document(TEXT.replace("signed: 2026-01-05", pledge)), now, own)


def kept(held, above=ABOVE, ourselves=5, service=None):
    return registry_findings.verified_copy(CACHE, above, held, ourselves, service)


OPEN = "other users can write to "
TABLE = {
    readable: [
        ((NOW,), GOOD, "version 42: 7 members, 7 licences, 1206 numbers, 1 suspensions in force"),
        ((date("2026-10-01"),), BAD, "future"),
    ],
    node_member: [
        (("m-0001",), GOOD, "this node is of m-0001"),
        ((None,), BAD, "association.member is not set: no licence counts", "association: {member: ID}"),
        (("m-0009",), BAD, "the registry does not know association.member", "association: {member: ID}"),
    ],
    fresh: [
        ((EXPIRES - 8 * DAY,), GOOD),
        ((EXPIRES - 6 * DAY,), WARNING),
        ((EXPIRES,), BAD),
        ((EXPIRES, 1 * DAY), WARNING),
        ((EXPIRES + DAY, 1 * DAY), BAD),
    ],
    trusted: [((Trust.SIGNED,), GOOD), ((Trust.UNSIGNED,), WARNING, "", "trust: ROOT.json")],
    registry_findings.faulty: [
        ((TrustError("it is not what the association signed"), PATH), BAD, "", "idtone registry update"),
    ],
    standing: [
        ((NOW,), GOOD, "1 expired, 1 not yet valid, 1 revoked, 3 valid, 1 without a pledge in force"),
        ((NOW, "signed: 2026-01-05, until: 2026-12-20"), WARNING, "ending within 30 days: the pledge of m-0001"),
        ((NOW, "signed: 2026-01-05, until: 2026-12-21"), GOOD),
        ((NOW, "signed: 2026-11-21"), GOOD, "1 valid, 3 without a pledge in force"),
        ((date("2036-01-01"),), WARNING, "ending within 30 days: L-0001"),
        ((NOW, "signed: 2026-01-05", -1), BAD, "no licence of this node covers its calls any more: L-9 (incoming): "),
        ((NOW, "signed: 2026-01-05", -1, "L-10"), BAD, "L-9", "Ask the association to resume L-10"),
        ((NOW, "signed: 2026-01-05", 1), GOOD),
        ((date("2037-01-01"),), WARNING, "6 expired, 1 revoked"),
    ],
    # the copy's files, the folders above it, the user
    kept: [
        *((([FOLDER, METADATA, ROOT_JSON], ABOVE, who), GOOD, f"{CACHE}, to which only the user 5") for who in (0, 5)),
        *(
            ((held, ABOVE), BAD, f"{OPEN}{held[-1].path} (mode {held[-1].mode:04o})", "chmod go-w", "registry update")
            for held in (
                [Rights(CACHE, 0o770, 5, 5)], [Rights(CACHE, 0o777, 5, 5)],
                [OPEN_FOLDER, Rights(KEPT_JSON, 0o646, 5, 5)], [OPEN_FOLDER, Rights(KEPT_JSON, 0o664, 5, 5)],
            )
        ),
        (([FOLDER], [*ABOVE[:2], Rights(CACHE.parent, 0o775, 5, 5)]), BAD, f"{OPEN}{CACHE.parent} (mode 0775)"),
        (([FOLDER, Rights(KEPT_JSON, 0o666, 5, 5)],), GOOD),  # the folder keeps other users out
        (([OPEN_FOLDER, METADATA, Rights(METADATA.path / "root.json", 0o666, 5, 5)],), GOOD),
        (([FOLDER, Rights(CACHE / ".lock", 0o644, 0, 0)],), BAD, "another user owns", "chown -R 5"),  # root's
        (([FOLDER], ABOVE, 0, 5), GOOD),
        (([Rights(CACHE, 0o700, 0, 0)], ABOVE, 0, 5), BAD, "the service (user 5) cannot use it", "chown -R 5"),
        (([FOLDER], [*ABOVE[:2], Rights(Path("/var/lib"), 0o1777, 0, 0)]), GOOD),  # the sticky bit
        (([FOLDER, Rights(KEPT_JSON, 0o600, 6, 5)],), BAD, f"another user owns {KEPT_JSON} (user 6)", "chown -R 5"),
        (([FOLDER], [Rights(Path("/var"), 0o755, 6, 0)]), BAD),
        (([FOLDER], ABOVE, 6), BAD, f"{CACHE} belongs to the user 5, but this runs as 6"),
        (([FOLDER, Rights(KEPT_JSON, 0o600, 5, 5, listed=True)],), UNKNOWN),
        (([],), WARNING),
    ],
    registry_findings.no_verified_copy: [((), GOOD)],
}  # fmt: skip


@pytest.mark.parametrize("rule", TABLE)
def test_findings(rule):
    check(rule, TABLE[rule])


def test_faults_are_shown_by_their_places_without_a_number():
    twice = TEXT.replace('"0112345600-0112345699"]', '"0112345600-0112345699", "0312345700", "03-12"]')
    with pytest.raises(DocumentError) as faulty:
        document(twice)
    finding = registry_findings.faulty(faulty.value, PATH)
    assert finding.state is BAD
    assert re.search(r"has \d+ faults, the first in line \d+", finding.found)
    assert not re.search(r"\d{4,}", finding.found + finding.remedy)
    assert f"idtone registry check {PATH}" in finding.remedy


def test_signatures_that_were_not_renewed_give_a_warning():
    signed = Signed(SuspensionsDocument(issued=NOW), NOW + 7 * DAY)
    index = RegistryIndex(document(TEXT.partition("suspensions:")[0]), signed)
    assert registry_findings.registry_age(index, NOW, 0 * DAY).state is GOOD
    late = registry_findings.registry_age(index, NOW + 6 * DAY, 0 * DAY)
    assert late.state is WARNING
    assert "idtone registry update" in late.remedy


def test_no_licence_at_all():
    bare = document(re.sub(r"members:.*?\nsuspensions:", "members: []\nsuspensions:", TEXT, flags=re.DOTALL))
    assert registry_findings.licence_states(bare, NOW).found == "no licence"
    assert registry_findings.sounds(bare, load_library(), NOW).state is GOOD


@pytest.mark.parametrize(
    ("tones", "member", "wrong"),
    [
        ({}, "m-0001", None),
        ({(INCOMING, CALLED): "sample"}, "m-0001", None),
        ({(INCOMING, CALLED): "sample", (OUTGOING, CALLER): "sampel"}, "m-0001", "outgoing.caller: sampel"),
        ({(INCOMING, CALLED): "sample"}, "m-0002", "incoming.called: sample"),  # its licence has expired
        ({(INCOMING, CALLED): "sampel"}, None, None),  # association.member says more
        ({(INCOMING, CALLED): "sampel"}, "m-9999", None),
    ],
)
def test_a_chosen_sound_without_a_licence_is_named(tones, member, wrong):
    found = registry_findings.chosen_sounds(tones, member, RegistryIndex(document()), NOW)
    assert (found is None) is (wrong is None)
    if found:
        assert found.state is BAD
        assert found.found.endswith(f"so calls get the notice: {wrong}")
        assert "policy.tones" in found.remedy


def test_licensed_sounds_need_a_proven_profile():
    library = load_library()
    assert registry_findings.sounds(document(), library, NOW).state is GOOD
    missing = registry_findings.sounds(document(), {"notice": library["notice"]}, NOW)
    assert missing.state is BAD
    assert "no profile for sample" in missing.found
    assert "idtone tone import MASTER --id sample" in missing.remedy
    recorded = TEXT.replace("title: Sample sound}", f"title: Sample sound, sha256: {'ab' * 32}}}")
    doubted = registry_findings.sounds(document(recorded), library, NOW)
    assert doubted.state is BAD
    assert "synthesised" in doubted.found
