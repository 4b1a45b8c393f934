"""Normalisation of names, readings and addresses, and its rates of missed and confused customers."""

from importlib.resources import files

import pytest

from bench.identity_matching import error_rates
from idtone.core.errors import DocumentError, TrustError
from idtone.member.customers.refused.customer_identity import CustomerIdentity, parse_customer
from idtone.member.customers.refused.identity_keys import KEYS_LIMIT, IdentityTable, default_table, parse_table

TABLE = default_table()
SPELLINGS = {
    "name": {
        "高橋太郎": ("髙橋 太郎", "高橋　太郎", "高橋・太郎"),
        "佐佐木渡辺": ("佐々木 渡邊", "佐佐木渡邉"),
        "高崎真": ("髙﨑 眞", "高崎真"),
        "サクラ": ("さくら", "ｻｸﾗ"),
        "johnsmith": ("John Smith", "ＪＯＨＮ　ＳＭＩＴＨ", "John-Smith"),
    },
    "company": {
        "見本電話": ("株式会社見本電話", "見本電話株式会社", "㈱見本電話", "(株) 見本電話", "見本電話(株)", "見本電話"),
        "mihondenwa": ("Mihon Denwa Co., Ltd.", "MIHON DENWA K.K.", "Mihon Denwa, Inc.", "mihon denwa"),
    },
    "reading": {
        "yamadataro": (
            "ヤマダ タロウ", "やまだ　たろう", "ﾔﾏﾀﾞ ﾀﾛｳ", "Yamada Tarō", "YAMADA TAROH", "Taro Yamada", "ヤマダタロウ",
        ),
        "onosiniti": ("オオノ シンイチ", "Ohno Shin-ichi", "Ono Sinichi", "シンイチ・オオノ"),
        "hattorizyunpei": ("ハットリ ジュンペイ", "Hattori Jumpei", "Junpei Hattori"),
        "hattityuzi": ("ハッチ チュウジ", "Hatchi Chūji", "Hatti Tyuuzi"),
    },
    "address": {
        "千代田区丸ケ内1-2-3": (
            "東京都千代田区丸の内一丁目2番3号 見本ビル405", "千代田区丸ノ内１−２−３",
            "東京都 千代田区丸之内1丁目2番地3",
        ),
        "竜ケ崎市元町12-20": ("茨城県龍ヶ崎市元町十二丁目二〇番", "龍ケ崎市元町12-20"),
        "千代田区三番町5": ("東京都千代田区三番町5番", "千代田区三番町5"),
        "札幌市中央区北1条西2-3": ("北海道札幌市中央区北１条西２丁目３番", "札幌市中央区北1条西2-3 見本ハイツ"),
    },
}  # fmt: skip
READ = {
    "name": lambda text: [TABLE.normalised_name(text)],
    "company": lambda text: [TABLE.normalised_name(text, is_company=True)],
    "reading": TABLE.normalised_readings,
    "address": lambda text: [TABLE.normalised_address(text)],
}


@pytest.mark.parametrize(
    ("what", "text", "wanted"),
    [(what, text, wanted) for what in READ for wanted, texts in SPELLINGS[what].items() for text in texts],
)
def test_spellings(what, text, wanted):
    assert wanted in READ[what](text)


def test_the_keys_of_the_sample():
    text = (files("idtone.config") / "refused_customer.yaml").read_text("utf-8")
    keys = TABLE.keys_of(parse_customer(text, "sample"))
    assert [key.fields for key in keys] == [
        "corporate_number", "name+address", "reading+address", "name+born", "reading+born", "reading+born",
    ]  # fmt: skip
    assert keys[3].octets.decode() == '{"born":"1980-04-01","name":"高橋太郎"}'


def test_the_keys_of_an_application_form():
    text = (files("idtone.config") / "customer_application.yaml").read_text("utf-8")
    keys = TABLE.keys_of(parse_customer(text, "form"))
    assert [key.fields for key in keys] == ["corporate_number", "name+address", "reading+address", "reading+address"]
    assert '"reading":"mihonsyozi"' in keys[2].octets.decode()
    with pytest.raises(TrustError, match="no name of the customer"):
        parse_customer("application: {id: C-1, kind: person}", "form")
    person = "application: {id: C-1, kind: person, customer: {name: {ja: 見本 花子}, birth_date: 1980-04-01}}"
    assert [key.fields for key in TABLE.keys_of(parse_customer(person, "form"))] == ["name+born"]


def test_a_customer_without_a_key_or_with_too_many_is_refused():
    with pytest.raises(TrustError, match="no key"):
        TABLE.keys_of(CustomerIdentity(kind="person", name="見本 花子"))
    kinds = [["reading", "born"], ["reading", "address"], ["reading"], ["reading", "name"]]
    many = IdentityTable.model_validate({**TABLE.model_dump(), "keys": {"person": kinds, "company": kinds}})
    person = {"kind": "person", "name": "X", "kana": "ア イ", "latin": "C D", "born": "2000-01-01", "address": "1-2"}
    assert len(TABLE.keys_of(CustomerIdentity.model_validate(person))) <= KEYS_LIMIT
    with pytest.raises(TrustError, match="more than 12 keys"):
        many.keys_of(CustomerIdentity.model_validate(person))


PERSON = "customer: {kind: person, name: 見本 花子, born: 1980-04-01}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PERSON.replace(", born: 1980-04-01", ""), "customer: a person is recognised by name and birth date"),
        (PERSON.replace("person", "company"), "customer: a company is recognised by its number"),
        (PERSON.replace("}", ", corporate_number: '7000012050002'}"), "does not belong to a person"),
        (PERSON.replace("}", ", corporate_number: '8000012050002'}"), "is not a corporate number"),
        (PERSON.replace("}", ", corporate_number: '700001205000'}"), "is not a corporate number"),
        (PERSON.replace("1980-04-01", "19800401"), "is not a date"),
        (PERSON.replace("}", ", phone: x}"), "is not a known key"),
    ],
)
def test_faults_of_a_customer(text, said):
    with pytest.raises(DocumentError, match=said) as found:
        parse_customer(text, "c.yaml")
    assert "見本" not in str(found.value)
    assert "c.yaml:1:" in str(found.value)


def test_a_table_with_a_bad_rule_is_refused():
    text = (files("idtone.config") / "customer_identity.yaml").read_text("utf-8")
    with pytest.raises(DocumentError, match=r"rules.name\[0\].*is not a regular expression"):
        parse_table(text.replace('["(.)々"', '["(.々"', 1), "table")


NO_RULES = {"name": [[r"\W", ""]], "reading": [], "address": []}


def test_how_many_customers_are_missed_and_how_many_are_taken_for_others():
    found = error_rates(customers=150, refused=150, seed=7, table=TABLE)
    assert max(found["spelling"].values()) == 0
    assert found["missed"]["0 wrong"] == found["missed"]["1 wrong"] == 0
    assert 0 < found["missed"]["2 wrong"] < 0.6
    assert found["false_matches"] < 0.004
    blind = IdentityTable.model_validate({**TABLE.model_dump(), "characters": {}, "rules": NO_RULES})
    without = error_rates(customers=1, refused=60, seed=7, table=blind)["spelling"]
    assert without["name+born"] > 0.05, "the table is what recognises them"
    assert without["reading+born"] > 0.05
    assert without["name+address"] > 0.5
