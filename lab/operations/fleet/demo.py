"""The fleet with thirty calls a second, and a live picture of it: `make fleet`.

    python -m lab.operations.fleet.demo [--seconds N] [--rate R] [--nodes N] [--json]

Keys take parts of the fleet away and bring them back. All parts listen only on 127.0.0.1. At its end the demo stops
everything that it has started.
"""

import argparse
import itertools
import json
import os
import select
import sys
import tempfile
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel

from lab.asterisk_installation import AsteriskMissing
from lab.asterisk_installation import find_or_get as find_asterisk
from lab.carrier import Carrier
from lab.debian_archive import PackagesUnavailable
from lab.fleet import Fleet, fleet
from lab.kamailio import find_or_get as find_kamailio
from lab.lab import LICENSED, SUSPENDED
from lab.office.year.office_year import localise
from lab.postgresql import PostgreSQLMissing, postgresql_programs
from lab.processes import end_in_order

from .fleet_observer import Observer, Seen, SeenCalls, SeenDatabase, SeenNode, SeenProxy

RATE: Final = 30.0
NUMBERS: Final = (*[LICENSED] * 28, "0352345678", SUSPENDED)
LONGEST_S: Final = 86_400.0
EVERY_S: Final = 1.0
ASTERISK_AWAY_S: Final = 5.0
WIDE: Final = 34


@dataclass
class Keys:
    """The actions that keys start on the fleet. Each action returns a text about its effect."""

    fleet: Fleet

    def __post_init__(self) -> None:
        self._node, self._proxy = itertools.cycle(self.fleet.nodes), itertools.cycle(self.fleet.proxies)
        self._promoted = self._stopped = False
        self.said = ""

    def help(self) -> str:
        return localise(
            "q end · k kill a service · a kill an Asterisk · p kill a Kamailio · d kill the primary database · "
            "r registry server · w witness · s suspend the number",
            "q 終了 · 強制終了: k サービス、a Asterisk、p Kamailio、d 主データベース · "
            "r 登録簿のサーバー · w 証人 · s 番号を停止",
        )

    def press(self, key: str) -> bool:
        """Run the action of a key. Returns True if the key ends the demo."""
        action: Callable[[], str] | None = {
            "k": self._kill_service, "a": self._kill_asterisk, "p": self._kill_proxy, "d": self._kill_primary,
            "r": self._registry, "w": self._witness, "s": self._suspend,
        }.get(key)  # fmt: skip
        if action:
            self.said = action()
        return key in ("q", "\x03")

    def _kill_service(self) -> str:
        node = next(self._node)
        os.kill(node.service.pid, 9)
        return localise(f"{node.name}: the service was killed", f"{node.name}: サービスを強制終了しました")

    def _kill_asterisk(self) -> str:
        node = next(self._node)
        node.kill_asterisk()
        self.fleet.later(ASTERISK_AWAY_S, node.asterisk.start)
        return localise(
            f"{node.name}: Asterisk was killed; it starts again in {ASTERISK_AWAY_S:g} s",
            f"{node.name}: Asterisk を強制終了しました。{ASTERISK_AWAY_S:g} 秒後に再び起動します",
        )

    def _kill_proxy(self) -> str:
        proxy = next(self._proxy)
        proxy.kill()
        self.fleet.take_over(proxy)
        return localise(
            "A Kamailio was killed; another one takes its address",
            "Kamailio を強制終了しました。別の Kamailio がアドレスを引き継ぎます",
        )

    def _kill_primary(self) -> str:
        if self._promoted:
            return localise("The standby is the primary already", "待機系はすでに昇格しています")
        self._promoted = True
        self.fleet.primary.kill()
        self.fleet.standby.promote()
        return localise("db-1 was killed, and db-2 promoted", "db-1 を強制終了し、db-2 を昇格させました")

    def _registry(self) -> str:
        served = self.fleet.registry
        (served.stop if served.running else served.start)()
        return localise("Registry server: ", "登録簿のサーバー: ") + _up(served.running)

    def _witness(self) -> str:
        witness = self.fleet.witnesses[0]
        (witness.stop if witness.running else witness.start)()
        return localise("Witness 1: ", "証人 1: ") + _up(witness.running)

    def _suspend(self) -> str:
        self._stopped = not self._stopped
        self.fleet.registry.suspend(SUSPENDED, *([LICENSED] if self._stopped else []))
        return (
            localise("The number is suspended", "番号を停止しました")
            if self._stopped
            else localise("The number is no longer suspended", "番号の停止を解除しました")
        )


# -- the picture ------------------------------------------------------------------------------------------------------


def picture(seen: Seen, said: str, keys: str) -> RenderableType:
    """The parts of the fleet as boxes, in the order in which a call passes through them."""
    return Group(
        _calls(seen.calls),
        Columns([_proxy(each) for each in seen.proxies], width=WIDE),
        Columns([_node(each) for each in seen.nodes], width=WIDE),
        Columns(
            [
                *(_database(each) for each in seen.databases),
                _part(localise("registry (HTTPS)", "登録簿(HTTPS)"), seen.registry),
                *(
                    _part(localise(f"witness {number}", f"証人 {number}"), up)
                    for number, up in enumerate(seen.witnesses, 1)
                ),
            ],
            width=WIDE,
        ),
        f"[bold]{said}[/bold]",
        f"[dim]{keys}[/dim]",
    )


def _calls(calls: SeenCalls) -> Panel:
    figures = localise(
        f"{calls.offered_per_s:5.1f} calls/s offered, {calls.answered_per_s:5.1f} answered\n"
        f"{calls.offered} offered, {calls.answered} answered, {calls.refused} refused, {calls.busy} busy, "
        f"[{'red' if calls.lost else 'green'}]{calls.lost} lost[/]",
        f"発信 毎秒 {calls.offered_per_s:5.1f}、応答 毎秒 {calls.answered_per_s:5.1f}\n"
        f"発信 {calls.offered}、応答 {calls.answered}、拒否 {calls.refused}、輻輳 {calls.busy}、"
        f"[{'red' if calls.lost else 'green'}]消失 {calls.lost}[/]",
    )
    return Panel(figures, title=localise("carriers (SIPp)", "キャリア(SIPp)"), width=3 * WIDE + 2)


def _box(title: str, text: str, good: bool) -> Panel:
    return Panel(text, title=title, width=WIDE, border_style="green" if good else "red")


def _proxy(proxy: SeenProxy) -> Panel:
    states = proxy.states or {}
    text = "  ".join(f"{name[-1]}:{state}" for name, state in states.items()) or _up(False)
    return _box(
        f"{proxy.name} (Kamailio)", text, all(state.startswith("A") for state in states.values()) and bool(states)
    )


def _node(node: SeenNode) -> Panel:
    if node.calls_per_s is None:
        return _box(node.name, _up(False) + "\n\n\n", False)
    age = "–" if node.cosigned_s is None else f"{node.cosigned_s:.0f} s"
    text = localise(
        f"{node.calls_per_s:.1f} calls/s, {node.in_progress} in progress\nregistry {node.registry_version}\n"
        f"{node.waiting} steps not replicated\ncosigned {age} ago",
        f"毎秒 {node.calls_per_s:.1f} 通話、通話中 {node.in_progress}\n登録簿 {node.registry_version}\n"
        f"未複製 {node.waiting} ステップ\n連署 {age} 前",
    )
    return _box(f"{node.name} (Asterisk, idtone)", text, node.replicated)


def _database(one: SeenDatabase) -> Panel:
    lag = (
        ""
        if one.lag_bytes is None
        else localise(f", standby {one.lag_bytes:,} bytes behind", f"、待機系の遅れ {one.lag_bytes:,} バイト")
    )
    return _box(f"{one.name} (PostgreSQL)", one.role + lag, one.role != "gone")


def _part(title: str, up: bool) -> Panel:
    return _box(title, _up(up), up)


def _up(up: bool) -> str:
    return localise("up", "動作中") if up else localise("gone", "停止")


# -- the whole --------------------------------------------------------------------------------------------------------


def _no_key(within_s: float) -> str:
    time.sleep(within_s)
    return ""


@contextmanager
def pressed_keys() -> Iterator[Callable[[float], str]]:
    """Context with a function that waits some seconds for a key, and returns "" if none was pressed."""
    if not sys.stdin.isatty():
        yield _no_key
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield (
            lambda within_s: (
                os.read(sys.stdin.fileno(), 1).decode() if select.select([sys.stdin], [], [], within_s)[0] else ""
            )
        )
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def run(running: Fleet, folder: Path, seconds: float, rate: float, screen: Console) -> Seen:
    """Place calls for `seconds` or until a key ends the demo, and return the last observation."""
    with ExitStack() as started:
        carriers = [
            Carrier(proxy.address, NUMBERS, rate / len(running.proxies), seconds, folder / f"carrier-{number}")
            for number, proxy in enumerate(running.proxies, 1)
        ]
        for carrier in carriers:
            started.callback(carrier.stop)
        observer, keys = Observer(running, carriers), Keys(running)
        key = started.enter_context(pressed_keys())
        live = Live(console=screen, auto_refresh=False, screen=True) if screen.is_terminal else None
        if live:
            started.enter_context(live)
        ends_s = time.monotonic() + seconds
        seen = observer.look()
        while (left_s := ends_s - time.monotonic()) > 0:
            if live:
                live.update(picture(seen, keys.said, keys.help()), refresh=True)
            if keys.press(key(min(EVERY_S, left_s))):
                break
            seen = observer.look()
        return seen


def main() -> int:
    parser = argparse.ArgumentParser(prog="fleet", description=__doc__)
    parser.add_argument("--seconds", type=float, help="end after so long; otherwise by the key q")
    parser.add_argument("--rate", type=float, default=RATE, help="calls a second")
    parser.add_argument("--nodes", type=int, default=3, help="number of nodes")
    parser.add_argument("--json", action="store_true", help="print the final figures as JSON")
    given = parser.parse_args()
    end_in_order()
    screen = Console(stderr=given.json)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="idtone-fleet-") as folder,
            postgresql_programs() as postgresql,
            fleet(
                Path(folder),
                find_asterisk(),
                find_kamailio(),
                postgresql,
                count=given.nodes,
                tell=lambda line: print(f"{line} …", file=sys.stderr, flush=True),
            ) as running,
        ):
            seen = run(running, Path(folder), given.seconds or LONGEST_S, given.rate, screen)
    except (AsteriskMissing, PackagesUnavailable, PostgreSQLMissing) as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if given.json:
        print(json.dumps(asdict(seen), indent=2))
    else:
        screen.print(picture(seen, "", ""))
    print(localise("Nothing was left running.", "すべて終了しました。"), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
