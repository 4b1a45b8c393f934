"""The PostgreSQL of the tests: fetched from Debian where the machine has none; killed and started again."""

import os
from pathlib import Path

import pytest

from lab.postgresql import PostgreSQL, PostgreSQLMissing, postgresql_programs


@pytest.mark.nightly
def test_debians_own_is_fetched_and_run_where_none_is_installed(tmp_path: Path) -> None:
    with postgresql_programs(installed=tmp_path / "nothing") as found:
        assert found.parts[-5:-2] == ("usr", "lib", "postgresql")
        with PostgreSQL(found) as running:
            ((version,),) = running.execute("SHOW server_version")
            assert version.startswith(found.parent.name)
            running.execute("CREATE TABLE kept AS SELECT 1 AS x")
            running.kill()
            running.start()
            assert running.execute("SELECT x FROM kept") == [(1,)]
            ((data,),) = running.execute("SHOW data_directory")
            assert os.stat(data).st_uid != 0
    assert not Path(data).exists()


def test_one_that_does_not_start_says_why() -> None:
    with postgresql_programs() as found:
        broken = PostgreSQL(found)
        try:
            with pytest.raises(PostgreSQLMissing, match="initialize a PostgreSQL data directory"):
                broken.start()
        finally:
            broken.remove()
