"""Settings under `lines`: the numbers that each customer line may present."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field

from ..errors import DocumentError, Fault
from ..translation import Message
from ..yaml_documents import Model, read_text

DATABASES = ("sqlite", "postgresql", "mysql")
"""URL schemes of databases; `mysql` also stands for MariaDB."""


def _source(value: str) -> str:
    remedy = Message("Write a path, or an address like mysql://idtone@127.0.0.1/asterisk")
    if "://" not in value:
        return value
    try:
        parts = urlsplit(value)
        secret = parts.password is not None or "password" in parse_qs(parts.query, keep_blank_values=True)
    except ValueError:
        raise ValueError(Message("is not the address of a database"), remedy) from None
    if parts.scheme not in DATABASES:
        raise ValueError(Message("is not the address of a database of a known kind"), remedy)
    if secret:
        raise ValueError(
            Message("holds a password, which many may read"), Message("Write it into a file, and name that file")
        )
    return value


class LinesSettings(Model):
    """Source of the table of customer lines. Without `source`, customers' numbers are not checked."""

    source: Annotated[str, AfterValidator(_source)] | None = None
    """A YAML file or the address of a database."""
    query: Annotated[str, Field(min_length=1)] | None = None
    """The query for a database: `freepbx`, `wazo`, or an SQL query."""
    password_file: Path | None = None
    cache: Path = Path("/var/lib/idtone/lines")
    poll: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = timedelta(minutes=1)
    """How often a database is read. A changed file is noticed within a second."""

    def is_database(self) -> bool:
        return self.source is not None and "://" in self.source

    def secret(self) -> str | None:
        """Password for the database, or None if no file is set. Raises DocumentError if the file cannot be read."""
        return read_text(self.password_file, size_limit=4096).strip() if self.password_file else None

    def check(self) -> None:
        """Check that `query` is set if the source is a database and only then. Raises DocumentError."""
        if self.is_database() and self.query is None:
            problem = Message("is not set, and lines.source is a database")
            remedy = Message("Write freepbx, wazo, or an SQL query of your own")
        elif self.query is not None and not self.is_database():
            problem = Message("is set, and lines.source is no database")
            remedy = Message("Remove it, or name a database in lines.source")
        else:
            return
        raise DocumentError([Fault("settings", 0, 0, "lines.query", problem, remedy)])
