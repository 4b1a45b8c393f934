"""A witness of idtone that is served over HTTP."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from idtone.core.signed_notes import VerifierKey
from idtone.ledger.witness.witness import Witness, WitnessState, attend

from ..sample_evidence import LOG

NAME = "witness.example/1"


@asynccontextmanager
async def running_witness(folder: Path, key: VerifierKey = LOG) -> AsyncIterator[str]:
    """Context with a witness for one log. Yields its entry for `ledger.witnesses`."""
    over, bound = asyncio.Event(), asyncio.get_running_loop().create_future()
    with WitnessState.locked(folder / "witness") as state:
        signer = state.signer(NAME)
        witness = Witness(state, signer, {key.name: [key]})
        task = asyncio.create_task(attend(witness, "127.0.0.1", 0, bound.set_result, over))
        await asyncio.wait({task, bound}, return_when=asyncio.FIRST_COMPLETED)
        yield f"http://127.0.0.1:{bound.result()} {signer.cosigner}"
        over.set()
        await task


@contextmanager
def running_witness_in_thread(folder: Path, key: VerifierKey) -> Iterator[str]:
    """Context like `running_witness`, but in a thread, for tests of commands that have their own event loop."""
    begun: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def stay() -> None:
        over = asyncio.Event()
        async with running_witness(folder, key) as witness:
            begun.set_result((witness, asyncio.get_running_loop(), over))
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(stay()))
    thread.start()
    try:
        witness, loop, over = begun.result(60)
        yield witness
        loop.call_soon_threadsafe(over.set)
    finally:
        thread.join(60)
