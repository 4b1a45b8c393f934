"""Sounds whose files match the registry in use. All others are treated as missing.

A call whose licensed sound does not match the registry gets the notice.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

from idtone.registry.index import RegistryIndex
from idtone.tones.making.sound_files import Sound
from idtone.tones.profile import Profile
from idtone.tones.registered_profile_check import play_objection

log = logging.getLogger(__name__)


class PlayableSounds(Mapping[str, Sound]):
    """Mapping from profile ids to sounds, excluding sounds that do not match the current registry.

    Each mismatch is logged once per registry edition. A look-up takes one more comparison than in a dict.
    """

    def __init__(
        self,
        sounds: Mapping[str, Sound],
        profiles: Iterable[Profile],
        registry: Callable[[], RegistryIndex | None],
    ) -> None:
        self._sounds = sounds
        self._profiles = tuple(profiles)
        self._registry = registry
        self._reviewing = threading.Lock()
        self._reviewed: tuple[RegistryIndex | None, Mapping[str, Sound]] | None = None

    def __getitem__(self, profile_id: str) -> Sound:
        return self._playable()[profile_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._playable())

    def __len__(self) -> int:
        return len(self._playable())

    def review(self) -> None:
        """Compare the sounds with a new registry now, so that the next call does not have to wait."""
        self._playable()

    def _playable(self) -> Mapping[str, Sound]:
        reviewed = self._reviewed
        if reviewed and reviewed[0] is self._registry():
            return reviewed[1]
        with self._reviewing:
            # Read again: a thread that waited here must not go back to the previous generation.
            registry, reviewed = self._registry(), self._reviewed
            if reviewed and reviewed[0] is registry:
                return reviewed[1]
            playable = self._review(registry)
            self._reviewed = (registry, playable)
            return playable

    def _review(self, registry: RegistryIndex | None) -> dict[str, Sound]:
        named = registry.tones if registry else None
        doubted = {profile.id: play_objection(profile, named) for profile in self._profiles}
        for profile_id, reason in doubted.items():
            if reason:
                log.error("the profile %r is not played: %s; the notice replaces it", profile_id, reason)
        return {profile_id: sound for profile_id, sound in self._sounds.items() if not doubted[profile_id]}
