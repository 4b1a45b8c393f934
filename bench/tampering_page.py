"""The results of `bench.tampering` as tables in docs/explanation/evidence.md and its Japanese page."""

from collections.abc import Mapping
from typing import Final

from lab.repository import ROOT

from .bench_output import Found
from .hostile_evidence import Cost
from .results_in_docs import write_texts

ENGLISH: Final = ROOT / "docs" / "explanation" / "evidence.md"
JAPANESE: Final = ROOT / "docs" / "ja" / "explanation" / "evidence.md"
BENCH: Final = "bench-tampering"

Words = Mapping[str, str]
_ENGLISH: Final[Words] = {
    "kinds": "| verifier | kinds of manipulation | before the signature: found | after the signature: found |",
    "found": "{found:,} of {met:,} in what it reads",
    "random": "Of {tried:,} random changes, {missed:,} changed the content and {verb} missed:",
    "one": "was", "many": "were",
    "changes": "| what was changed | changes | found | missed, content unchanged | missed, content changed |",
    "row": "ledger rows", "page": "bytes of a ledger file, below the tables",
    "tile": "files of a published tree", "pack": "a pack (half of the changes in the ZIP file's bytes)",
    "worst": (
        "The {inputs} worst inputs that we could think of took at most {seconds:,.0f} s of processor time ({slowest}) "
        "and {gib:.1f} GiB of memory ({largest}). {over} of them exceeded a limit."
    ),
}  # fmt: skip
_JAPANESE: Final[Words] = {
    "kinds": "| 検証プログラム | 改ざんの種類 | 署名前: 検出 | 署名後: 検出 |",
    "found": "プログラムの読む範囲にある {met:,} 件中 {found:,} 件",
    "random": "無作為な変更 {tried:,} 件のうち、読み取る内容が変わるのに検出されなかったものは {missed:,} 件です。",
    "one": "", "many": "",
    "changes": "| 変更した対象 | 変更 | 検出 | 検出されず、内容は変わらない | 検出されず、内容が変わる |",
    "row": "台帳の行", "page": "台帳のファイルの、表より下のバイト", "tile": "公開されたツリーのファイル",
    "pack": "証跡パック(半数は ZIP ファイルのバイト)",
    "worst": (
        "最も手間のかかると考えられる {inputs} 通りの入力では、プロセッサー時間は最大 {seconds:,.0f} 秒(`{slowest}`)、"
        "メモリーは最大 {gib:.1f} GiB(`{largest}`)でした。上限を超えたものは {over} 件です。"
    ),
}  # fmt: skip


def write(found: Found) -> None:
    """Write the tables into both pages.

    Raises ValueError if a page has no place for them.
    """
    write_texts({ENGLISH: tables(found, _ENGLISH), JAPANESE: tables(found, _JAPANESE)}, BENCH)


def tables(found: Found, words: Words) -> str:
    """Tables of the tampering results in Markdown.

    Three tables show the kinds by verifier, the random changes by their object, and the cost of the worst inputs.
    """
    lines = [words["kinds"], "|---|---|---|---|"]
    for row in found["kinds"]:
        counts = [
            words["found"].format(
                found=row[f"{moment}: found"], met=row[f"{moment}: found"] + row[f"{moment}: not found"]
            )
            for moment in ("before", "after")
        ]
        lines.append(f"| `{row['verifier']}` | {row['kinds']:,} | {' | '.join(counts)} |")
    random = found["random"]
    missed = sum(row["not found"] for row in random)
    verb = words["one" if missed == 1 else "many"]
    summary = words["random"].format(tried=sum(row["tried"] for row in random), missed=missed, verb=verb)
    lines += ["", summary, "", words["changes"], "|---|---|---|---|---|"]
    lines += [
        f"| {words[row['what']]} | {row['tried']:,} | {row['found']:,} | {row['harmless']:,} | {row['not found']:,} |"
        for row in random
    ]
    worst = found["worst"]
    slowest, largest = (max(worst, key=lambda each: each[figure]) for figure in ("seconds", "mib"))
    text = words["worst"].format(
        inputs=len({each["input"] for each in worst}),
        seconds=slowest["seconds"],
        slowest=_of(slowest),
        gib=largest["mib"] / 1024,
        largest=_of(largest),
        over=sum(Cost(**each).is_over for each in worst),
    )
    return "\n".join([*lines, "", text]) + "\n"


def _of(cost: Found) -> str:
    return f"{cost['input']}: {cost['verifier']}"
