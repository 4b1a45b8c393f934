"""Checks that a profile is the sound that the registry licenses under the profile's id."""

from collections.abc import Mapping

from idtone.core.translation import Message

from .profile import Profile


def play_objection(profile: Profile, named: Mapping[str, str | None] | None) -> str | None:
    """The reason the profile must not be played as the licensed sound with its id, or None if it may.

    `named` maps the ids of the registry's sounds to the SHA-256 of their masters, or to None for a sound without a
    master. If there is no registry, `named` is None. No recording may then be played, because nothing proves that it is
    the right one.
    """
    if named is None:
        return Message("there is no registry to check the recording against") if profile.recording else None
    sha256 = named.get(profile.id)
    if sha256 is None:
        if profile.standard:
            return Message(
                "it is marked as the standard sound, but the registry names no master for the tone {id!r}",
                id=profile.id,
            )
        return None
    if profile.recording is None:
        return Message(
            "it is synthesised, but the registry names a master for the tone {id!r}, SHA-256 {wanted}",
            id=profile.id,
            wanted=sha256,
        )
    if profile.sha256 != sha256:
        return Message(
            "its recording has the SHA-256 {sha256}, but the registry names another master "
            "for the tone {id!r}, {wanted}",
            sha256=profile.sha256,
            id=profile.id,
            wanted=sha256,
        )
    return None
