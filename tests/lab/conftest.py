"""Two phones that call each other without a PBX."""

from collections.abc import AsyncIterator, Iterator

import pytest

from lab import voices
from lab.phone import Phone
from lab.rtp import Media


@pytest.fixture
def media() -> Iterator[Media]:
    with Media() as running:
        yield running


@pytest.fixture
async def alice(media: Media) -> AsyncIterator[Phone]:
    async with Phone(media, voices.CALLER) as phone:
        yield phone


@pytest.fixture
async def bob(media: Media) -> AsyncIterator[Phone]:
    async with Phone(media, voices.CALLED) as phone:
        yield phone
