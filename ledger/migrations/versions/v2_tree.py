"""The tree over calls that are over, and by what they are found. What is older stays outside of it."""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("steps", sa.Column("leaf", WHOLE))
    op.create_table(
        "hashes",
        sa.Column("place", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "sought",
        sa.Column("token", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("step", WHOLE, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO meta SELECT 'tree_from', cast(coalesce(max(id), 0) AS text) FROM steps")
