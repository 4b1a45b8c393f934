from pathlib import Path

import numpy as np
import pytest

from idtone.core.errors import DocumentError
from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile_library import SHIPPED, load_library, namesake_source
from lab.tones.error_text import error_text

OWN = "id: {}\ntitle: Own\nlevel_dbm0: -16\nsegments: [{{frequencies_hz: [600], on_ms: 100}}]\n"


def test_the_shipped_profiles_cannot_be_mistaken_for_each_other_or_for_the_associations():
    library = load_library()
    assert list(library) == ["notice", "sample"]
    for profile_id, profile in library.items():
        assert library.source(profile_id) == SHIPPED
        assert not profile.standard
        assert "協会標準識別音ではない" in profile.title
        assert "not the association's" in profile.title
        assert 400 <= profile.duration_ms <= 600
    notice, sample = (synthesise(profile, 8000) for profile in library.values())
    likeness = np.abs(np.correlate(notice, sample, "full")).max() / np.linalg.norm(notice) / np.linalg.norm(sample)
    assert likeness < 0.1


def test_the_operators_profiles_are_added(tmp_path):
    (tmp_path / "b.yaml").write_text(OWN.format("own-b"))
    (tmp_path / "a.yml").write_text(OWN.format("own-a"))
    (tmp_path / "README.md").write_text("not a profile")
    library = load_library(tmp_path)
    assert list(library) == ["notice", "sample", "own-a", "own-b"]
    assert library.source("own-b") == str(tmp_path / "b.yaml")
    assert library.named("own-b").title == "Own"
    assert "cannot be listed" in error_text(DocumentError, load_library, tmp_path / "absent")


def faults(folder):
    with pytest.raises(DocumentError) as caught:
        load_library(folder)
    return caught.value.faults


def test_ids_are_unique_and_the_faults_of_all_files_are_reported_together(tmp_path):
    for name, profile_id in (("a", "own"), ("b", "own"), ("c", "notice")):
        (tmp_path / f"{name}.yaml").write_text(OWN.format(profile_id))
    assert [str(fault) for fault in faults(tmp_path)] == [
        f"{tmp_path}/b.yaml: id: 'own' is the id of another profile, {tmp_path}/a.yaml. Give this profile another id",
        f"{tmp_path}/c.yaml: id: 'notice' is the id of another profile, {SHIPPED}. Give this profile another id",
    ]
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(OWN.format("Wrong"))
    (tmp_path / "c.yaml").unlink()
    assert [Path(fault.file).name for fault in faults(tmp_path)] == ["a.yaml", "b.yaml"]


def test_another_profile_with_the_same_id_is_found(tmp_path):
    (tmp_path / "own.yaml").write_text("id: own\n")
    (tmp_path / "list.yaml").write_text("[own]\n")
    (tmp_path / "broken.yaml").write_text("id: [own\n")
    assert namesake_source("sample", tmp_path / "sample.yaml") == SHIPPED
    assert namesake_source("own", tmp_path / "own.yaml") is None
    assert namesake_source("own", tmp_path / "other.yaml") == str(tmp_path / "own.yaml")
    assert namesake_source("own", tmp_path / "absent" / "own.yaml") is None
