"""Changes to a ledger that someone with write access to its file can make."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..sample_evidence import evidence, url_of
from ..sample_ledger import verification_faults, write

SEED = 20261101


@dataclass
class Tamperer:
    """Changes a ledger in one of the ways in `WAYS`.

    It changes only calls that have ended, or that have leaves in the ledger's tree.
    """

    dice: random.Random
    file: Path
    older: list[Path]
    """Earlier copies of the file."""

    def tamper(self, way: str) -> str:
        """Make one change of the kind `way`, and return its description."""
        if way == "roll back":
            copy = self.dice.choice(self.older)
            return f"{shutil.copyfile(copy, self.file)} is {copy.name} again"
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("BEGIN")
            before = connection.total_changes
            done: str = getattr(self, way)(connection)
            changed = connection.total_changes - before
            connection.execute("COMMIT")
        assert changed, f"{done} changed nothing"
        return done

    def closed_step(self, connection: sqlite3.Connection) -> sqlite3.Row:
        """A step of a finished call."""
        connection.row_factory = sqlite3.Row
        rows = connection.execute(
            "SELECT * FROM steps WHERE call_id IN (SELECT call_id FROM steps WHERE leaf IS NOT NULL)"
        ).fetchall()
        return self.dice.choice(rows)

    def change(self, connection: sqlite3.Connection) -> str:
        row = self.closed_step(connection)
        column = self.dice.choice(["node", "call_id", "kind", "at", "details", "leaf"])
        value = row[column]
        if column == "at":
            new: object = value + self.dice.choice([-1, 1, 3_600_000_000])
        elif column == "leaf":
            new = self.dice.choice([each for each in (None, 0, (value or 0) + 1, 10**6) if each != value])
        elif column == "kind":
            new = self.dice.choice([each for each in ("ended", "connected", "sound-ended", "x") if each != value])
        else:
            place = self.dice.randrange(len(value))
            new = value[:place] + self.dice.choice("abc019 ") + value[place + self.dice.randrange(2) :]
            if new == value:
                new = value[:place] + "#" + value[place + 1 :]
        connection.execute(f"UPDATE steps SET {column} = ? WHERE id = ?", (new, row["id"]))  # noqa: S608
        return f"step {row['id']}: {column} {value!r} → {new!r}"

    def remove(self, connection: sqlite3.Connection) -> str:
        row = self.closed_step(connection)
        if self.dice.random() < 0.5:
            connection.execute("DELETE FROM steps WHERE id = ?", (row["id"],))
            return f"removed step {row['id']}"
        connection.execute("DELETE FROM steps WHERE call_id = ?", (row["call_id"],))
        if self.dice.random() < 0.5:  # and close the gap
            connection.execute("UPDATE steps SET leaf = leaf - 1 WHERE id > ? AND leaf IS NOT NULL", (row["id"],))
        return f"removed call {row['call_id']}"

    def insert(self, connection: sqlite3.Connection) -> str:
        row = self.closed_step(connection)
        ((last, leaves),) = connection.execute("SELECT max(id), max(leaf) + 1 FROM steps").fetchall()
        where = self.dice.choice(["a late step", "a whole call", "after the leaf", "before all", "in between"])
        like = {name: row[name] for name in ("id", "node", "call_id", "kind", "at", "details", "leaf")} | {"leaf": None}
        if where == "a late step":
            new = [like | {"id": last + 1, "leaf": leaves}]
        elif where == "a whole call":
            invented = like | {"call_id": "invented"}
            new = [invented | {"id": last + 1, "kind": "decided"}]
            new += [invented | {"id": last + 2, "kind": "ended", "leaf": leaves}]
        elif where == "after the leaf":
            new = [like | {"id": last + 1}]
        elif where == "before all":
            new = [like | {"id": -self.dice.randrange(9)}]
        else:
            new = [like]
            connection.execute("UPDATE steps SET id = -id - 1 WHERE id >= ?", (row["id"],))
            connection.execute("UPDATE steps SET id = -id WHERE id < 0")
        connection.executemany("INSERT INTO steps VALUES (:id, :node, :call_id, :kind, :at, :details, :leaf)", new)
        return f"inserted {where} like step {row['id']}"

    def reorder(self, connection: sqlite3.Connection) -> str:
        column = self.dice.choice(["id", "leaf"])
        if column == "id":
            query = "SELECT id FROM steps WHERE call_id IN (SELECT call_id FROM steps WHERE leaf IS NOT NULL)"
        else:
            query = "SELECT leaf FROM steps WHERE leaf IS NOT NULL"
        (one,), (other,) = self.dice.sample(connection.execute(query).fetchall(), 2)
        for old, new in ((one, -1), (other, one), (-1, other)):
            connection.execute(f"UPDATE steps SET {column} = ? WHERE {column} = ?", (new, old))  # noqa: S608
        return f"the steps with {column} {one} and {other} have changed places"

    def truncate(self, connection: sqlite3.Connection) -> str:
        """Remove all content from one leaf on, including the hashes."""
        leaves = connection.execute("SELECT id, leaf FROM steps WHERE leaf IS NOT NULL ORDER BY id").fetchall()
        kept = self.dice.randrange(len(leaves))
        last = leaves[kept - 1][0] if kept else 0
        connection.execute("DELETE FROM steps WHERE id > ?", (last,))
        connection.execute("DELETE FROM hashes WHERE place >= ?", (2 * kept - kept.bit_count(),))
        connection.execute("DELETE FROM sought WHERE step > ?", (last,))
        if self.dice.random() < 0.5:
            connection.execute("DELETE FROM meta WHERE key = 'checkpoint'")
        return f"cut off after {kept} leaves"

    def tree(self, connection: sqlite3.Connection) -> str:
        """Change the hashes, the signature or the search index."""
        ((hashes,),) = connection.execute("SELECT count(*) FROM hashes").fetchall()
        ((note,),) = connection.execute("SELECT value FROM meta WHERE key = 'checkpoint'").fetchall()
        sought = self.dice.choice(connection.execute("SELECT token, step FROM sought").fetchall())
        place, letter = self.dice.randrange(hashes), self.dice.randrange(len(note) - 1)
        changed = note[:letter] + chr(ord(note[letter]) ^ 1) + note[letter + 1 :]
        ways: list[tuple[object, ...]] = [
            ("UPDATE hashes SET hash = randomblob(32) WHERE place = ?", place),
            ("DELETE FROM hashes WHERE place = ?", place),
            ("INSERT INTO hashes SELECT max(place) + 1, randomblob(32) FROM hashes",),
            ("UPDATE meta SET value = ? WHERE key = 'checkpoint'", changed),
            ("DELETE FROM meta WHERE key = 'checkpoint'",),
            ("DELETE FROM sought WHERE token = ? AND step = ?", *sought),
            ("UPDATE sought SET token = -1 - token WHERE token = ? AND step = ?", *sought),
            ("INSERT INTO sought SELECT token - 1, step FROM sought LIMIT 1",),
        ]
        statement, *values = self.dice.choice(ways)
        connection.execute(str(statement), values)
        return f"{statement} {values}"


WAYS: Final = ("change", "remove", "insert", "reorder", "truncate", "tree")
"""Names of methods of `Tamperer`."""


def tampered(folder: Path, count: int, seed: int = SEED) -> Iterator[tuple[str, bool]]:
    """Make `count` changes of a real ledger, each on a fresh copy, with the kinds in turn.

    Yields the description of each change, and True if the verification found it.
    """
    file = folder / "ledger" / "ledger.sqlite3"
    url, told, older = url_of(file), evidence(), []
    for number, part in enumerate((told[:30], told[30:60])):
        write(url, part)
        older.append(folder / f"copy-{number}")
        shutil.copyfile(file, older[-1])
    write(url, told[60:])
    whole = file.read_bytes()
    assert verification_faults(url) == []
    tamperer = Tamperer(random.Random(seed), file, older)
    ways = [*WAYS, "roll back"]
    for number in range(count):
        file.write_bytes(whole)
        done = tamperer.tamper(ways[number % len(ways)])
        yield done, bool(verification_faults(url))
