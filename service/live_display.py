"""Displays a state on the terminal, once or every second."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final, TypeVar

import typer

from idtone.core.terminal import command_line
from idtone.core.terminal.standard_streams import reader_is_open

T = TypeVar("T")
EVERY_S: Final = 1.0

WatchOption = Annotated[bool, typer.Option("--watch", help="Update the output every second, until Ctrl-C.")]


def show(
    look: Callable[[], T], screen: Callable[[T], Any], as_object: Callable[[T], Any], *, as_json: bool, watch: bool
) -> T:
    """Show a state once or, with `watch`, every second until the user interrupts. Returns the last state.

    `look` reads a state, `screen` converts it for rich, and `as_object` converts it for JSON.
    """
    if watch:
        return _watch_as_json(look, as_object) if as_json else _watch(look, screen)
    found = look()
    if as_json:
        command_line.print_json(as_object(found))
    else:
        command_line.screen(highlight=False).print(screen(found))
    return found


def _watch_as_json(look: Callable[[], T], as_object: Callable[[T], Any]) -> T:
    found = look()
    with _until_interrupted():
        while True:
            command_line.print_json(as_object(found), indent=None)
            sys.stdout.flush()
            if not reader_is_open(EVERY_S):
                break
            found = look()
    return found


def _watch(look: Callable[[], T], table: Callable[[T], Any]) -> T:
    from rich.live import Live

    found, screen = look(), command_line.screen(highlight=False)
    with _until_interrupted():
        if not screen.is_terminal:  # a file or a pipe: one after another
            while True:
                screen.print(table(found))
                screen.print()
                sys.stdout.flush()
                if not reader_is_open(EVERY_S):
                    break
                found = look()
            return found
        with Live(table(found), console=screen, screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(EVERY_S)
                found = look()
                live.update(table(found), refresh=True)
    return found


@contextmanager
def _until_interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        return
