"""How the transactions of a database begin, which is not left to its driver."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, event


def begin_by(engine: Engine, statement: str) -> None:
    """Have each transaction of this engine begin with it."""

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    event.listen(engine, "begin", begin)
