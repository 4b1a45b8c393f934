"""docs/reference/status.md, made of the table of the feed; `tests/reference_pages.py` writes it."""

from __future__ import annotations

from typing import Final

from idtone.service.status_feed import FEED

HEAD: Final = """\
# Status

`idtone status --json` prints this object; with `--watch`, one on each line, each second. The service writes it to each
reader of the Unix socket `LEDGER.status` beside its ledger, and closes the connection; only the service's user and root
can read it. Times are in ISO 8601, UTC. Counts begin with each instance. No field holds a telephone number or a
member. New fields may be added; `format` changes if a field changes or goes.

If no service runs, `running` is false, and the object has `trouble`, and in `ledger` and `registry` what their files
say.

| field | meaning |
|---|---|
"""
HEAD_JA: Final = """\
# 状態

`idtone status --json` が出力するオブジェクトです(`--watch` なら毎秒 1 行ずつ)。
サービスは、台帳と同じ場所の Unix ソケット `台帳名.status` に接続した相手にこれを送り、接続を閉じます。
読めるのはサービスのユーザーと root だけです。時刻は ISO 8601(UTC)です。
件数はインスタンスごとに 0 から数えます。電話番号と会員は含まれません。
項目は追加されることがあります。項目が変わるかなくなる場合は `format` が変わります。

サービスが動いていなければ `running` は false で、`trouble` と、
`ledger`・`registry` のファイルから分かることを出力します。

| 項目 | 意味 |
|---|---|
"""
JAPANESE: Final = {
    "format": "この形式の版。項目が変わるかなくなると変わります",
    "running": "サービスが動いているか",
    "instance.version": "idtone の版",
    "instance.node": "証跡に記録されるこの PBX の名前",
    "instance.pid": "プロセス番号",
    "instance.since": "このインスタンスが判定を始めた時刻。件数はここから数えます",
    "instance.hand_overs": "サービスの起動後に行われた引き継ぎの回数",
    "ari.connected": "Asterisk の ARI に接続しているか",
    "ari.asterisk": "Asterisk の版。接続していなければ null",
    "ari.transport": "要求の送り方。接続していなければ null",
    "ari.reconnects": "2 回目以降の接続",
    "agi.listen": "AGI を待ち受ける場所。待ち受けていなければ null",
    "calls.in_progress": "判定から終わりまでの間にある通話",
    "calls.longest_seconds": "そのうち最も古い判定からの時間。通話がなければ null",
    "calls.oldest": (
        "そのうち最も古い通話(最大 100 件)。通話 ID、判定時刻、結果、理由、状態のリスト。"
        "状態は `dialling`(呼び出し中)、"
        "`answered`(応答)、`connected`(接続)、`suspended`(番号が停止されたため Asterisk が終了させる通話)"
    ),
    "calls.decisions": "判定した通話。結果、理由、件数のリスト",
    "calls.ended": "終わった通話(IDTONE_STATUS 別)",
    "calls.suspended": "番号が停止されたため、サービスが終了させた通話(停止の文書番号別)",
    "calls.with_sound": "接続され、音を聞かせるはずだった、終わった通話",
    "calls.heard": "そのうち、聞かせる相手全員が音を最後まで聞いた通話",
    "calls.heard_ratio": "`with_sound` のうち `heard` の割合。そのような通話がなければ null",
    "calls.decision_seconds": (
        "フックの問い合わせから判定までの時間(インターフェース別)。"
        "件数と、度数分布から推定した中央値と 99 パーセンタイル"
    ),
    "registry.version": "登録簿の版。登録簿がなければ 0",
    "registry.trust": "`signed` または `unsigned`。登録簿がなければ null",
    "registry.issued": "発行時刻",
    "registry.expires": "期限",
    "registry.suspensions_in_force": "現在有効な停止(番号、番号帯、会員)の数",
    "fallback.current": "番号停止の一覧が Asterisk に渡っているか",
    "fallback.trouble": "渡っていない理由。渡っていれば空",
    "journal.lag_seconds": "ジャーナルを最後まで読んでからの時間",
    "ledger.unwritten_steps": "まだ書き込めていない、または書き込めなかった証跡のステップ",
    "ledger.free_bytes": "ディスクの空き(予備領域を除く)",
    "ledger.room_days": "直近 1 週間の増え方で、空きが足りる日数",
    "ledger.reserve_bytes": "予備領域の残り",
    "ledger.reserve_size_bytes": "予備領域の大きさ",
    "ledger.checkpoint_leaves": "最後に署名したチェックポイントの葉の数。署名がなければ null",
    "ledger.checkpoint_written": "その書き込み時刻",
    "ledger.trouble": "証跡の書き込みの問題。なければ空",
    "ledger.witnesses": "証人のリスト。名前、最後に連署した葉の数(不明なら 0)、問題",
    "replication": "PostgreSQL にまだないステップの数と、問題。PostgreSQL を使わなければ null",
    "metrics.listen": "メトリクスの場所。無効なら null",
}
"""The meanings in Japanese."""


def page(japanese: bool) -> str:
    lines = [HEAD_JA if japanese else HEAD]
    lines += [f"| `{each.name}` | {JAPANESE[each.name] if japanese else each.meaning} |\n" for each in FEED]
    return "".join(lines)
