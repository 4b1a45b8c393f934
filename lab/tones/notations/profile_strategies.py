"""Hypothesis strategies for profiles that a notation can express."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from idtone.core.errors import DocumentError, ToneError
from idtone.tones.profile import DURATION_LIMIT_MS, Profile

from ..profiles import make_profile


def plain_profiles(tones: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Profile]:
    """A strategy for profiles with at least one audible tone.

    They consist of these tones, and of pauses in whole milliseconds.
    """
    segments = st.builds(
        lambda tone, on, off: tone | {"on_ms": on, "off_ms": off, "ramp_ms": min(5, on / 2)},
        tones | tones | st.just({"frequencies_hz": ()}),
        st.integers(1, 400),
        st.just(0) | st.integers(1, 400),
    )
    return (
        st.tuples(st.lists(segments, min_size=1, max_size=5), st.integers(1, 3))
        .filter(lambda drawn: any(segment["frequencies_hz"] for segment in drawn[0]))
        .map(lambda drawn: make_profile(*drawn[0], repeat=drawn[1]))
    )


def audible_properties(profile: Profile) -> list[object]:
    """All audible properties of a profile. They do not depend on its division into segments."""
    bursts = [(each.start_ms, each.end_ms, each.segment) for each in profile.bursts()]
    return [
        profile.duration_ms,
        *((start, end, s.frequencies_hz, s.modulation, profile.level_of(s)) for start, end, s in bursts),
    ]


def check_reading(notation: str, read: Callable[[str], Profile], write: Callable[[Profile], str], text: str) -> None:
    """Assert that the notation reads the text as a profile, or refuses it with a clear error."""
    try:
        profile = read(text)
    except (ToneError, DocumentError) as error:
        said = str(error)
    else:
        assert 0 < profile.duration_ms <= DURATION_LIMIT_MS
        said = f"{notation} {write(profile)}"
    assert said.startswith(notation)
