"""The commands `idtone-sign` and `idtone-office publication sign-page`, which open a key holder's signing page."""

from __future__ import annotations

import asyncio
import os
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Annotated, Final

import typer

from idtone.core.errors import UsageError
from idtone.core.terminal import command_line
from idtone.core.translation import translated

from .holder import Holder
from .holders_root import StoredRoot, default_folder
from .signing_server import SigningServer

LIBRARY: Final = "PYKCS11LIB"
"""Environment variable with the path of the token manufacturer's PKCS#11 library."""


def sign_page(
    key: Annotated[
        str, typer.Option("--key", metavar="KEY", help="Your key: its file, or hsm:… (default: the page asks).")
    ] = "",
    library: Annotated[
        Path | None, typer.Option("--library", metavar="FILE", help="The PKCS#11 library of your token.")
    ] = None,
    kept: Annotated[
        Path | None, typer.Option("--kept", metavar="FOLDER", help="Where the association's root is kept.")
    ] = None,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1 (0: a free one).")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open a page on your own computer that shows what a package changes, and signs it with your key.

    It needs no network. Only the browser of this computer reaches the page, by an address that is secret. The program
    ends with the page's last button, or with Ctrl-C.
    """
    if library is not None:
        os.environ[LIBRARY] = str(library)
    try:
        asyncio.run(_serve(Holder(StoredRoot(kept or default_folder()), key), port, browser))
    except OSError as error:
        raise UsageError(
            "port {port}: {reason}; name another one", port=port, reason=error.strerror or error
        ) from error
    except KeyboardInterrupt:
        pass


async def _serve(holder: Holder, port: int, browser: bool) -> None:
    server = SigningServer(holder)
    async with server.serve(port) as address:
        print(translated("Open this page in a browser of this computer: {url}", url=address.url()), flush=True)
        with _leading_to(address.url()) as leads:
            if browser:
                webbrowser.open(leads.as_uri())
            await server.over.wait()


@contextmanager
def _leading_to(url: str) -> Iterator[Path]:
    """Create an HTML file that leads to the page, for the duration of a `with` block.

    The browser gets this file because other users could see the address on its command line.
    """
    with tempfile.TemporaryDirectory(prefix="idtone-sign-") as folder:
        path = Path(folder, "open.html")
        path.touch(0o600)
        path.write_text(f'<meta http-equiv="refresh" content="0; url={escape(url)}">\n', "utf-8")
        yield path


def main() -> None:
    """Run `sign_page` as the separate program `idtone-sign`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(sign_page)
    command_line.run(app)
