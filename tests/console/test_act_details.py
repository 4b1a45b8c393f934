"""The details of an act in words, even if the ledger has a code or a day that does not exist."""

import pytest

from idtone.console.office.act_details import detail, subject
from idtone.core.translation import translated


@pytest.fixture(autouse=True)
def japanese(monkeypatch):
    monkeypatch.setenv("LANGUAGE", "ja")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("kind", "transaction-record", "種類: 取引記録の作成と保存"),
        ("passed", True, "合格: はい"),
        ("taken", "2026-11-20", "受講日: 2026-11-20"),
        ("before", "2026-11-21", "この日より前のテスト: 2026-11-21"),
        ("count", 3, "件数: 3"),
        ("right", 9, "正答: 9"),
        ("of", 10, "問題数: 10"),
        ("until", "2026-13-45", "終了日: 2026-13-45"),
    ],
)
def test_a_detail_is_said_in_words(name, value, said):
    assert translated(detail(name, value)) == said


def test_a_period_with_an_impossible_day_stays_as_it_is():
    assert subject("2026-10-01_2026-11-01") == "2026-10-01 – 2026-10-31"
    assert subject("2026-10-01_2026-99-99") == "2026-10-01 – 2026-99-99"
