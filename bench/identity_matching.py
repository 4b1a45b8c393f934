"""Error rates of the identity table: refused customers that it misses, and customers that it confuses with others.

    python -m bench.identity_matching [--customers N] [--refused N] [--seed N] [--json]

The customers are generated from lists of common names and places; they are no real persons. `other_spelling` spells a
refused customer in another usual way. `wrong_entry` also mistypes or leaves out fields. A customer is missed if no key
is equal. A false match is a different customer with a key that is equal to a refused one's.
"""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

from rich.progress import track

from idtone.member.customers.corporate_number import check_digit
from idtone.member.customers.refused.customer_identity import CustomerIdentity, IdentityKind
from idtone.member.customers.refused.identity_keys import IdentityTable, default_table

from .bench_output import PROGRESS, options, report

CUSTOMERS: Final = 20_000
REFUSED: Final = 10_000
SEED: Final = 20261127
FAMILIES: Final = """佐藤サトウ 鈴木スズキ 高橋タカハシ 田中タナカ 伊藤イトウ 渡辺ワタナベ 山本ヤマモト
    中村ナカムラ 小林コバヤシ 加藤カトウ 吉田ヨシダ 山田ヤマダ 佐々木ササキ 山口ヤマグチ 松本マツモト
    井上イノウエ 木村キムラ 林ハヤシ 斎藤サイトウ 清水シミズ 山崎ヤマザキ 森モリ 池田イケダ 橋本ハシモト
    阿部アベ 石川イシカワ 山下ヤマシタ 中島ナカジマ 石井イシイ 小川オガワ 前田マエダ 岡田オカダ 長谷川ハセガワ
    藤田フジタ 後藤ゴトウ 近藤コンドウ 村上ムラカミ 遠藤エンドウ 青木アオキ 坂本サカモト 福田フクダ 太田オオタ
    西村ニシムラ 藤井フジイ 岡本オカモト 金子カネコ 藤原フジワラ 三浦ミウラ 中野ナカノ 原田ハラダ 松田マツダ
    竹内タケウチ 小野オノ 大野オオノ 田村タムラ 中川ナカガワ 和田ワダ 石田イシダ 広瀬ヒロセ 浜田ハマダ
    桜井サクライ 沢田サワダ 島田シマダ 本間ホンマ 新田ニッタ 服部ハットリ 国分コクブ 久保クボ 千葉チバ
    土屋ツチヤ""".split()
GIVEN: Final = """翔ショウ 大輔ダイスケ 健太ケンタ 拓也タクヤ 直樹ナオキ 誠マコト 健一ケンイチ 真一シンイチ
    浩ヒロシ 隆タカシ 剛ツヨシ 学マナブ 和也カズヤ 純一ジュンイチ 裕太ユウタ 雄一ユウイチ 洋平ヨウヘイ
    達也タツヤ 亮リョウ 恵メグミ 愛アイ 美咲ミサキ 裕子ユウコ 陽子ヨウコ 幸子サチコ 順子ジュンコ 京子キョウコ
    由美ユミ 直美ナオミ 智子トモコ 久美子クミコ 香織カオリ 舞マイ 彩アヤ 千尋チヒロ 真央マオ 結衣ユイ 悠ユウ
    蓮レン 湊ミナト 葵アオイ 凛リン 司ツカサ 渚ナギサ 修平シュウヘイ 徹トオル 一郎イチロウ 次郎ジロウ
    三郎サブロウ 勝マサル""".split()
PLACES: Final = """東京都|千代田区霞が関 東京都|千代田区丸の内 東京都|新宿区西新宿 東京都|世田谷区三軒茶屋
    大阪府|大阪市北区梅田 大阪府|堺市堺区三国ヶ丘 神奈川県|横浜市西区みなとみらい 神奈川県|茅ヶ崎市元町
    埼玉県|鶴ヶ島市富士見 茨城県|龍ヶ崎市佐貫町 愛知県|名古屋市中区栄 福岡県|福岡市博多区博多駅前
    北海道|札幌市中央区大通西 宮城県|仙台市青葉区一番町 京都府|京都市下京区四条通 兵庫県|神戸市中央区三宮町
    広島県|広島市中区紙屋町 千葉県|鎌ケ谷市道野辺""".split()
TRADES: Final = """通信ツウシン 電話デンワ 商事ショウジ 企画キカク 情報ジョウホウ 興業コウギョウ 設備セツビ
    物流ブツリュウ""".split()
VARIANTS: Final = {
    "高": "髙", "崎": "﨑", "辺": "邊", "斎": "齋", "沢": "澤", "浜": "濱", "広": "廣", "国": "國",
    "桜": "櫻", "島": "嶋", "真": "眞", "恵": "惠", "学": "學",
}  # fmt: skip
ROMAJI: Final = (("shi", "si"), ("chi", "ti"), ("tsu", "tu"), ("fu", "hu"), ("ji", "zi"), ("sho", "syo"), ("ju", "zyu"))
BUILDINGS: Final = ("", " 見本ビル405", " サンプルハイツ二〇三号室", " ミホンタワー12F")
FORMS: Final = ("株式会社{}", "{}株式会社", "㈱{}", "(株){}", "{}(株)", "{} 株式会社")
KANJI: Final = "〇一二三四五六七八九"

Fields = dict[str, Any]


def _split(entry: str) -> tuple[str, str]:
    kana = next(at for at, each in enumerate(entry) if "ァ" <= each <= "ー")
    return entry[:kana], entry[kana:]


def draw_customer(chance: random.Random) -> Fields:
    """Draw a random customer; a quarter of them are companies."""
    (family, family_kana), (given, given_kana) = _split(chance.choice(FAMILIES)), _split(chance.choice(GIVEN))
    prefecture, town = chance.choice(PLACES).split("|")
    block = [chance.randint(1, 9), chance.randint(1, 40), chance.randint(1, 30)]
    place = {"prefecture": prefecture, "town": town, "block": block, "building": chance.choice(BUILDINGS)}
    if chance.random() < 0.25:
        trade, trade_kana = _split(chance.choice(TRADES))
        digits = [chance.randint(0, 9) for _ in range(12)]
        base = "".join(map(str, digits))
        return {
            "kind": IdentityKind.COMPANY,
            "words": [family + trade + given],
            "kana": [family_kana + trade_kana + given_kana],
            "corporate_number": f"{check_digit(base)}{base}",
            **place,
        }
    born = date(1945, 1, 1) + timedelta(days=chance.randrange(22_000))
    return {
        "kind": IdentityKind.PERSON,
        "words": [family, given],
        "kana": [family_kana, given_kana],
        "born": born,
        **place,
    }


def usual_spelling(one: Fields) -> CustomerIdentity:
    """Spell a customer as the association does."""
    first, second, third = one["block"]
    address = f"{one['prefecture']}{one['town']}{first}丁目{second}番{third}号{one['building']}"
    name = " ".join(one["words"])
    return _identity(one, f"株式会社{name}" if _is_company(one) else name, " ".join(one["kana"]), None, address)


def other_spelling(one: Fields, chance: random.Random, table: IdentityTable) -> CustomerIdentity:
    """Spell a customer as another member might."""
    name = chance.choice(("", " ", "　")).join(one["words"])
    name = "".join(VARIANTS.get(each, each) if chance.random() < 0.5 else each for each in name)
    if _is_company(one):
        name = chance.choice(FORMS).format(name)
    elif chance.random() < 0.3:
        name = name.replace("佐々", "佐佐")
    kana = chance.choice((" ", "　", "")).join(one["kana"])
    latin = None
    kind = chance.randrange(3)
    if kind == 1:
        kana = "".join(chr(ord(each) - 0x60) if "ァ" <= each <= "ヶ" else each for each in kana)
    elif kind == 2:
        latin, kana = _latin(one, chance, table), ""
    return _identity(one, name, kana or None, latin, _address(one, chance))


def _latin(one: Fields, chance: random.Random, table: IdentityTable) -> str:
    words = [table.to_latin(word) or "" for word in one["kana"]]
    if chance.random() < 0.5:
        words = [_written(word, ROMAJI) for word in words]
    if chance.random() < 0.5:
        words = [word.replace("ou", "o").replace("uu", "u") for word in words]
    if chance.random() < 0.5:
        words.reverse()
    return " ".join(words).upper() if chance.random() < 0.5 else " ".join(words).title()


def _written(word: str, pairs: Sequence[tuple[str, str]]) -> str:
    for before, after in pairs:
        word = word.replace(before, after)
    return word


def _address(one: Fields, chance: random.Random) -> str:
    first, second, third = one["block"]
    blocks = (
        f"{first}-{second}-{third}",
        f"{KANJI[first]}丁目{second}番{third}号",
        f"{first}丁目{second}−{third}",
        f"{first}丁目{second}番地{third}",
        f"{first}ー{second}ー{third}",
    )
    town = one["town"].replace("が", chance.choice("がヶケガ")).replace("ヶ", chance.choice("ヶケが"))
    town = town.replace("丸の内", chance.choice(("丸の内", "丸ノ内", "丸之内")))
    block = chance.choice(blocks)
    if chance.random() < 0.3:
        block = block.translate({ord(str(digit)): chr(0xFF10 + digit) for digit in range(10)})
    return chance.choice((one["prefecture"], "")) + town + block + chance.choice((one["building"], ""))


def wrong_entry(one: Fields, chance: random.Random, table: IdentityTable, count: int) -> CustomerIdentity:
    """Spell a customer differently, with `count` fields wrong or left out."""
    good = other_spelling(one, chance, table)
    block = [*one["block"][:2], one["block"][2] + 1]
    changes: list[Fields] = [
        {"kana": None, "latin": None},
        {"address": _address({**one, "block": block}, chance)},
        {"name": good.name[0] + "々" + good.name[1:]},
        {"corporate_number": None} if _is_company(one) else {"born": one["born"] + timedelta(days=1)},
    ]
    for change in chance.sample(changes, count):
        good = good.model_copy(update=change)
    return good


def _identity(one: Fields, name: str, kana: str | None, latin: str | None, address: str) -> CustomerIdentity:
    return CustomerIdentity(
        kind=one["kind"],
        name=name,
        kana=kana,
        latin=latin,
        address=address,
        born=one.get("born"),
        corporate_number=one.get("corporate_number"),
    )


def _is_company(one: Fields) -> bool:
    return one["kind"] is IdentityKind.COMPANY


def error_rates(customers: int, refused: int, seed: int, table: IdentityTable) -> dict[str, Any]:
    """Share (0 … 1) of refused customers that are missed, and of other customers that match a refused one.

    `spelling` has, for each kind of key, the share of refused customers whose key differs in another spelling.
    """
    chance = random.Random(seed)
    people = [draw_customer(chance) for _ in range(refused)]
    keys = [frozenset(table.keys_of(usual_spelling(one))) for one in people]
    entered = frozenset().union(*keys)
    otherwise = [frozenset(table.keys_of(other_spelling(one, chance, table))) for one in people]

    def missed(count: int) -> float:
        asked = (table.keys_of(wrong_entry(one, chance, table, count)) for one in people)
        return sum(own.isdisjoint(found) for own, found in zip(keys, asked, strict=True)) / refused

    def unequal(fields: str) -> float:
        pairs = [
            (own, {key for key in found if key.fields == fields}) for own, found in zip(keys, otherwise, strict=True)
        ]
        having = [(own, found) for own, found in pairs if found]
        return sum(own.isdisjoint(found) for own, found in having) / len(having)

    return {
        "spelling": {fields: unequal(fields) for fields in ("name+born", "reading+born", "name+address")},
        "missed": {f"{count} wrong": missed(count) for count in range(3)},
        "false_matches": sum(
            not entered.isdisjoint(table.keys_of(other_spelling(draw_customer(chance), chance, table)))
            for _ in track(range(customers), "other customers", console=PROGRESS, transient=True)
        )
        / customers,
    }


def main() -> None:
    given = options(__doc__, customers=CUSTOMERS, refused=REFUSED, seed=SEED).parse_args()
    report(
        f"{given.refused:,} refused, {given.customers:,} others",
        error_rates(given.customers, given.refused, given.seed, default_table()),
        given.json,
    )


if __name__ == "__main__":
    main()
