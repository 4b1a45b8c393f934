"""Where one ledger is read, whichever database holds it: the one place in which readers know that there are two."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from idtone.errors import LedgerError

from . import sqlite


@dataclass(frozen=True)
class Source:
    """`explain` says what an error of it means; `name` is what people know it by, without any password."""

    engine: Engine
    name: str
    explain: Callable[[SQLAlchemyError], LedgerError]

    @classmethod
    def in_file(cls, url: str) -> Self:
        """A node's own, in SQLite. Raises LedgerError where there is none."""
        path = sqlite.path_of(url)
        try:
            os.stat(path)
        except FileNotFoundError as error:
            raise LedgerError(f"{path}: there is no ledger yet; start `idtone serve` first") from error
        except OSError as error:
            raise LedgerError(
                f"{path}: the ledger cannot be read: {error.strerror}; run this as the user that `idtone serve` runs as"
            ) from error
        return cls(sqlite.reading_engine(path), str(path), lambda error: sqlite.explained(error, path))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction, which sees one state. Raises LedgerError for what goes wrong in it."""
        with self.explaining(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Raises LedgerError for what goes wrong in the database, also where its driver is asked directly."""
        driver = self.engine.dialect.loaded_dbapi
        try:
            yield
        except SQLAlchemyError as error:
            raise self.explain(error) from error
        except driver.Error as error:
            raise self.explain(DBAPIError("", None, error)) from error
