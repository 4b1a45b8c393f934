"""Whether a profile may stand for the sound that the registry licenses under its id. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from .profile import Profile


def doubt(profile: Profile, named: Mapping[str, str | None] | None) -> str | None:
    """Why the profile may not be played as the licensed sound of its id; None where it may.

    `named` is what the registry says: tone id → SHA-256 of the master, None for a sound without one;
    itself None where there is no registry. Without a registry a recording stays unproven, since nobody can
    say whether it is the right one.
    """
    if named is None:
        return "there is no registry to prove the recording by" if profile.recording else None
    sha256 = named.get(profile.id)
    if sha256 is None:
        if profile.standard:
            return f"it calls itself the standard sound, and the registry names no master for the tone {profile.id!r}"
        return None
    if profile.recording is None:
        return f"it is synthesised, and the registry names a master for the tone {profile.id!r}, SHA-256 {sha256}"
    if profile.sha256 != sha256:
        return (
            f"its recording has the SHA-256 {profile.sha256}, and the registry names another master "
            f"for the tone {profile.id!r}, {sha256}"
        )
    return None
