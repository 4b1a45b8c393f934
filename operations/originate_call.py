"""Places calls for `idtone setup` and `idtone canary`."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from idtone.core.errors import UsageError
from idtone.core.settings.settings import AriSettings
from idtone.core.translation import translated

from .doctor import observe_asterisk


def place_channel(ari: AriSettings, secret: str, body: Mapping[str, Any]) -> None:
    """Place a call with ARI's POST /channels.

    Raises UsageError if Asterisk rejects the call, and AriError.
    """
    answer = observe_asterisk.request(ari, secret, "POST", "channels", dict(body))
    if answer.status >= 400:
        raise UsageError("Asterisk refused the call: {status} {reason}", status=answer.status, reason=answer.reason)


@contextmanager
def shown_progress() -> Iterator[Callable[[], None]]:
    """Show a call's duration on standard error while the block runs.

    Calling the yielded function updates the display.
    """
    began_s = time.monotonic()
    with Console(stderr=True).status("") as status:

        def waiting() -> None:
            seconds = time.monotonic() - began_s
            status.update(translated("the call lasts {seconds:.0f} s", seconds=seconds))

        yield waiting
