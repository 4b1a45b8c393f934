"""A process that is killed while it enters a sound: the registry never names a missing master."""

import hashlib
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from idtone.office.authority import change_registry, undo_copies
from idtone.office.authority.change_registry import Attribution
from idtone.office.authority.tone_masters import enter_tone
from idtone.office.authority.workspace import Workspace
from idtone.registry.sources import read_document
from lab.office.authority.office import WHY, Office
from lab.office.pages.persons_and_days import tone_master


def killed_after(done: Callable[..., Any] | None) -> Callable[..., None]:
    def call(*arguments: object) -> None:
        if done is not None:
            done(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    return call


def test_a_sound_keeps_its_master_if_the_person_interrupts_the_command(office: Office, tmp_path: Path) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    office.monkeypatch.setattr(Workspace, "record_entry", interrupted)
    at = Attribution("sato", "x", datetime.now(UTC))
    with pytest.raises(KeyboardInterrupt):
        enter_tone(Workspace(office.folder), "new-2027", "New", tone_master(), at, "title")
    assert "new-2027" in {tone.id for tone in read_document(office.registry).tones}
    assert (office.folder / "tones/new-2027.wav").read_bytes() == tone_master()


@pytest.mark.parametrize("moment", ["master", "registry", "history"])
def test_a_sound_has_its_master_whenever_the_process_is_killed(office: Office, tmp_path: Path, moment: str) -> None:
    wav = tmp_path / "new.wav"
    wav.write_bytes(tone_master())
    words = ("sound add", "new-2027", wav, "--title", "New", *WHY)
    child = os.fork()
    if not child:
        if moment == "master":
            office.monkeypatch.setattr(undo_copies, "store_copy", killed_after(None))
        elif moment == "registry":
            whole = change_registry.group_shared_files.rewrite
            office.monkeypatch.setattr(change_registry.group_shared_files, "rewrite", killed_after(whole))
        else:
            office.monkeypatch.setattr(Workspace, "record_entry", killed_after(Workspace.record_entry))
        office.run(*words)
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    tones = {tone.id: tone.sha256 for tone in read_document(office.registry).tones}
    kept = office.folder / "tones/new-2027.wav"
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == tones.get(
        "new-2027", hashlib.sha256(tone_master()).hexdigest()
    )
    assert ("new-2027" in tones) == (moment != "master")
    if moment == "master":
        assert office.run(*words)[0] == 0, "the next attempt replaces what is left"
    elif moment == "registry":
        office.json("history note", *WHY)
    office.json("publication publish", *office.all_keys())
    assert [*(office.folder / "repository/targets").rglob("*new-2027.wav")]
    assert [path.name for path in (office.folder / "tones").iterdir()] == ["new-2027.wav"]
