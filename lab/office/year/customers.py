"""Customers of a member: a form, and a refused customer that applies to another member."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .flow_picture import Box, Rows, Tone
from .office_year import CONFIG, REPORTED, RESELLER, WHOLESALER, OfficeYear, days, localise, only


def keep_form(year: OfficeYear, picture: Path) -> tuple[Mapping[str, Any], Rows]:
    """Check, print, record and reopen the form of a reseller's customer. The first check finds a gap."""
    form = (CONFIG / "customer_application.yaml").read_text("utf-8")
    file = year.folder / "customer.yaml"
    file.write_text(re.sub(r"    address: .*# 本店の所在地\n", "", form), "utf-8")
    faults = year.member_json(RESELLER, "form", "check", file, code=1)["faults"]
    file.write_text(form, "utf-8")
    year.member(RESELLER, "form", "check", file)
    year.member(RESELLER, "form", "print", file, "-o", picture)
    numbers = year.folder / "numbers.txt"
    numbers.write_text(f"{REPORTED}\n0462345601\n", "utf-8")
    year.member(RESELLER, "form", "record", file, "--numbers", numbers)
    numbers.unlink()
    kept = only(year.member_json(RESELLER, "form", "list"))
    return {
        "fault": ", ".join(each["field"] for each in faults),
        "numbers": kept["numbers"],
        "state": kept["state"],
        "paper": picture.read_bytes()[:4].decode(),
    }, ()


def hop(year: OfficeYear, _: Path) -> tuple[Mapping[str, Any], Rows]:
    """Refuse the customer whose numbers were suspended.

    The customer applies to the other member with another spelling of its name.
    """
    reseller, wholesaler, other = (year.folder / f"{name}.yaml" for name in ("refused", "hopped", "honest"))
    _customer(reseller, "見本商事株式会社", "ミホンショウジ", "8000000000001", "東京都見本区見本町1-2-3")
    _customer(wholesaler, "㈱見本商事", "ﾐﾎﾝｼｮｳｼﾞ", None, "東京都見本区見本町一丁目2番3号")
    _customer(other, "別見本株式会社", "ベツミホン", "8700110005901", "大阪府見本市見本町9-9")
    year.authority(
        "refusal add",
        reseller,
        "--key",
        year.keys / "refusals.pem",
        "--reference",
        "K-7",
        "--until",
        days(365),
        "--why",
        "numbers were stopped",
    )
    reseller.unlink()
    year.publish("duty")
    caught = year.member_json(WHOLESALER, "customer", "check", wholesaler, code=1)
    honest = year.member_json(WHOLESALER, "customer", "check", other)
    references = {each["reference"] for each in caught["refusals"]}
    equal = [each["equal"] for each in caught["refusals"][:2]]
    return {"caught": caught["refused"], "reference": ", ".join(references), "honest": honest["refused"]}, [
        [
            Box(RESELLER, "見本商事株式会社", arrow="K-7"),
            Box("refusals.list", localise("tokens, no names", "トークンのみ(氏名なし)"), arrow="check"),
            Box(f"{WHOLESALER}: ㈱見本商事", *equal, tone=Tone.BAD),
        ],
        [
            Box(localise("another customer", "別の利用者"), "別見本株式会社", arrow="check"),
            Box(WHOLESALER, localise("not refused", "該当なし"), tone=Tone.GOOD),
        ],
    ]


def _customer(file: Path, name: str, kana: str, corporate_number: str | None, address: str) -> None:
    number = f"  corporate_number: '{corporate_number}'\n" if corporate_number else ""
    file.write_text(
        f"customer:\n  kind: company\n  name: {name}\n  kana: {kana}\n{number}  address: {address}\n", "utf-8"
    )
