"""Random changes of ledger databases, tiles and evidence packs, to test the verifiers.

A change that a verifier misses must be harmless: readers still get the same rows or the same files.
"""

import base64
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from idtone.core.errors import IdtoneError, ProofError
from idtone.ledger.disclosure.pack_file import read_zip, zip_octets
from idtone.ledger.store.database import Database
from idtone.ledger.store.meta import CHECKPOINT, SCHEMA
from idtone.ledger.tiles.tile_source import TileFolder
from idtone.ledger.tiles.tile_writer import write_tiles
from idtone.ledger.tiles.tiles_verification import verify_tiles
from idtone.ledger.tree.tiles import BUNDLE_LIMIT, BUNDLES, expand_bundle
from lab.ledger.example_pack import PACK
from lab.ledger.sample_evidence import LOG, evidence, key_ring_of, url_of
from lab.ledger.sample_ledger import verification_faults, write
from lab.ledger.vectors import bases
from lab.ledger.vectors.verifiers import VERIFIERS

BATCH: Final = 500
_META: Final = "SELECT value FROM meta WHERE key = ?"


class Mutation(NamedTuple):
    """A random change, and the verifiers that missed it.

    `harmless` is the reason why the change is harmless, and is empty if it is not.
    """

    where: str
    what: str
    missed: tuple[str, ...] = ()
    harmless: str = ""


def mutate(dice: random.Random, octets: bytes) -> tuple[str, bytes]:
    """Change octets at random; returns a description of the change, and the changed octets."""
    while True:
        way = dice.choice(["bit", "bit", "octet", "cut out", "put in", "swap", "copy", "cut off", "number"])
        made = bytearray(octets)
        place, length = dice.randrange(len(octets)), dice.randrange(1, 40)
        other = dice.randrange(len(octets))
        if way == "bit":
            made[place] ^= 1 << dice.randrange(8)
        elif way == "octet":
            made[place] = dice.randrange(256)
        elif way == "cut out":
            del made[place : place + length]
        elif way == "put in":
            made[place:place] = dice.randbytes(length)
        elif way == "swap":
            here, there = made[place : place + length], made[other : other + length]
            made[place : place + len(there)], made[other : other + len(here)] = there, here
        elif way == "copy":
            made[place : place + length] = made[other : other + length]
        elif way == "cut off":
            del made[place:]
        else:
            made[place : place + 4] = dice.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"9999", b"\x7f\xff\xff\xff"])
        if bytes(made) != octets:
            return f"{way} at {place}", bytes(made)


def _contents(file: Path) -> dict[str, list[str]] | None:
    """The content of all tables and indexes; None if they cannot be read completely."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            queries = {name: f"SELECT * FROM {name} NOT INDEXED" for name in names}  # noqa: S608  words of our own
            for column in ("at", "call_id"):
                index = f"ix_steps_{column}"
                # The call to which an entry leads, by the row to which it leads.
                queries[index] = f"SELECT {column}, call_id FROM steps INDEXED BY {index} ORDER BY {column}"  # noqa: S608  the same
            del queries["meta"]  # which is read by its index
            meta = [str(connection.execute(_META, (key,)).fetchall()) for key in (SCHEMA, CHECKPOINT)]
            found = {name: sorted(map(repr, connection.execute(query))) for name, query in queries.items()}
            return {**found, "meta": meta}
    except (sqlite3.Error, UnicodeDecodeError):
        return None


def _harmless(before: dict[str, list[str]] | None, after: dict[str, list[str]] | None) -> str:
    """The reason why both states of a ledger have the same content; empty if they differ."""
    if before is None or after is None:
        return ""
    differ = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return {frozenset(): "the same is read", frozenset({"macs"}): "MACs of steps that are signed already"}.get(
        frozenset(differ), ""
    )


def mutate_pages(folder: Path, count: int, seed: int) -> Iterator[Mutation]:
    """Change octets of the ledger's database file at random, and run the verifiers."""
    file = folder / "pages" / "ledger.sqlite3"
    write(url_of(file), evidence(20))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for each in file.parent.glob("*-wal"):
        each.unlink()
    whole, before, dice = file.read_bytes(), _contents(file), random.Random(seed)
    for _ in range(count):
        what, octets = mutate(dice, whole)
        for each in file.parent.glob("ledger.sqlite3-*"):
            each.unlink()
        file.write_bytes(octets)
        if _faults(lambda: verification_faults(url_of(file))):
            yield Mutation("page", what)
        else:
            yield Mutation("page", what, ("verify",), _harmless(before, _contents(file)))


def _faults(verify: Callable[[], object]) -> bool:
    """True if `verify` finds a fault. A database error counts as a fault."""
    try:
        return bool(verify())
    except (IdtoneError, sqlite3.Error):
        return True


def mutate_tiles(folder: Path, count: int, seed: int) -> Iterator[Mutation]:
    """Change the files of a published tree at random, and run the verifiers."""
    file, out = folder / "tiles" / "ledger.sqlite3", folder / "published"
    write(url_of(file), evidence(220))
    note = key_ring_of(url_of(file)).seen.latest(LOG)
    assert note
    write_tiles(Database.in_file(url_of(file)), LOG, note[0], out)
    dice, paths = (
        random.Random(seed),
        sorted(path for path in out.rglob("*") if path.is_file() and path.name != ".lock"),
    )
    for _ in range(count):
        path = dice.choice(paths)
        kept, kept_octets = path.read_bytes(), _octets(path)
        if not kept or dice.random() < 0.02:
            path.unlink()
            what = "was removed"
        elif dice.random() < 0.05:
            what = "has another's octets"
            path.write_bytes(dice.choice([each for each in paths if each != path]).read_bytes())
        else:
            what, octets = mutate(dice, kept)
            path.write_bytes(octets)
        same = path.exists() and _octets(path) == kept_octets
        found = _faults(lambda: verify_tiles(TileFolder(out), LOG).faults)
        path.write_bytes(kept)
        name = path.relative_to(out)
        yield Mutation(
            "tile",
            f"{name} {what}",
            () if found else ("verify tiles",),
            "the same octets" if same and not found else "",
        )


def _octets(file: Path) -> bytes | None:
    """The content that a reader gets from a published file; an entry bundle is decompressed. None if that fails."""
    octets = file.read_bytes()
    try:
        return expand_bundle(octets, BUNDLE_LIMIT) if BUNDLES in str(file) else octets
    except ProofError:
        return None


def mutate_packs(folder: Path, count: int, seed: int) -> Iterator[Mutation]:
    """Change an evidence pack at random, and run the verifiers.

    Half of the mutations change octets of the ZIP file, and half change a file inside it.
    """
    dice, known = random.Random(seed), bases()
    octets, files = PACK.read_bytes(), read_zip(PACK)
    path = folder / "x.zip"
    while count > 0:
        made: list[tuple[str, bytes]] = []
        for number in range(min(BATCH, count)):
            if number % 2:
                made.append(mutate(dice, octets))
            else:
                name = dice.choice(sorted(files))
                what, content = mutate(dice, files[name])
                made.append((f"{name} {what}", zip_octets({**files, name: content})))
        count -= len(made)
        vectors = [{"name": what, "zip": base64.b64encode(content).decode()} for what, content in made]
        told = {name: judge(vectors, known) for name, judge in VERIFIERS.items()}
        for place, (what, content) in enumerate(made):
            missed = tuple(name for name, rules in told.items() if not rules[place])
            same = False
            if missed:
                path.write_bytes(content)
                same = _read(path) == files
            yield Mutation("pack", what, missed, "the same files are read" if missed and same else "")


def _read(path: Path) -> object:
    try:
        return read_zip(path)
    except IdtoneError:
        return None
