"""The mark of a licensed operator: it shows the member id, and it is valid only as long as the licence."""

from datetime import UTC, datetime

import pytest

from idtone.core.errors import TrustError
from idtone.member.evaluation import evaluation_verification
from idtone.office.authority.licence_mark import add_mark_digest, issuer_line

OPERATOR = {
    "member": "m-0001",
    "name": {"ja": "見本電話", "en": "Sample Telephone"},
    "licences": [{"valid_from": "2027-01-01T00:00:00+09:00", "valid_until": "2028-01-01T00:00:00+09:00"}],
}


@pytest.mark.parametrize("association", ["協会", "一般社団法人見本電話識別音利用促進協会全国連合会"])
@pytest.mark.parametrize("member", ["m-0001", "m-" + "9" * 30])
def test_the_id_of_the_member_is_never_cut(association, member):
    assert issuer_line(association, member).endswith(f" · {member}")
    assert len(issuer_line(association, "m-0001")) <= 22


@pytest.mark.parametrize(
    ("year", "error"), [(2026, "begins on 2027-01-01"), (2027, None), (2028, "ended on 2028-01-01")]
)
def test_a_mark_is_good_from_the_first_day_of_its_licences_to_the_last(monkeypatch, tmp_path, year, error):
    operator = add_mark_digest(OPERATOR, "協会")
    monkeypatch.setattr(evaluation_verification, "read_site", lambda *_: {"operators": [operator]})
    monkeypatch.setattr(evaluation_verification, "_of_badge", lambda *_: operator)
    now = datetime(year, 6, 1, tzinfo=UTC)
    if error is None:
        assert evaluation_verification.verify_published(tmp_path, tmp_path, "m.svg", now) == operator
        return
    with pytest.raises(TrustError, match=error):
        evaluation_verification.verify_published(tmp_path, tmp_path, "m.svg", now)
