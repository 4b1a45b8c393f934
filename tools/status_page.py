"""Generates docs/reference/status.md from the tables of the feed and of the state.

`tools/reference_pages.py` writes the page.
"""

from typing import Final

from idtone.service.node_state import STATE
from idtone.service.status_feed import FEED

HEAD: Final = """\
# Status

`idtone status --json` prints this object; with `--watch`, one on each line, each second. The service writes it to each
reader of the Unix socket `LEDGER.status` beside its ledger, and closes the connection; only the service's user and root
can read it. Times are in ISO 8601, UTC. Counts begin with each instance. No field holds a telephone number or a
member. New fields may be added; `format` changes if a field changes or is removed.

If no service runs, `running` is false, and the object has `trouble`, and in `ledger` and `registry` what their files
say. In both cases the command adds `troubles`: all that is wrong, a list of `id` and `text` ([How you learn of a
failure](../how-to/when-something-fails.md#how-you-learn-of-a-failure)); and `warnings`, the same
for what will be wrong
unless someone acts.

| field | meaning |
|---|---|
"""
HEAD_JA: Final = """\
# 状態

`idtone status --json` が出力するオブジェクトです(`--watch` なら毎秒 1 行ずつ)。
サービスは、台帳と同じ場所の Unix ソケット `台帳名.status` に接続した相手にこれを送り、接続を閉じます。
読めるのはサービスのユーザーと root だけです。時刻は ISO 8601(UTC)です。
件数はプロセスごとに 0 から数えます。電話番号と会員は含まれません。
項目は追加されることがあります。項目が変わるかなくなる場合は `format` が変わります。

サービスが動いていなければ `running` は false で、`trouble` と、
`ledger`・`registry` のファイルから分かることを出力します。
どちらの場合も、コマンドは異常の一覧 `troubles`(`id` と `text` のリスト。
[障害の通知](../how-to/when-something-fails.md#障害の通知))と、
対応しなければ異常になるものの一覧 `warnings`(同じ形)を加えます。

| 項目 | 意味 |
|---|---|
"""
JAPANESE: Final = {
    "format": "この形式の版。項目が変わるかなくなると変わります",
    "running": "サービスが動いているか",
    "instance.version": "idtone の版",
    "instance.node": "証跡に記録されるこの PBX の名前",
    "instance.pid": "プロセス番号",
    "instance.since": "このプロセスが判定を始めた時刻。件数はここから数えます",
    "instance.hand_overs": "サービスの起動後に行われた引き継ぎの回数",
    "ari.connected": "Asterisk の ARI に接続しているか",
    "ari.asterisk": "Asterisk の版。接続していなければ null",
    "ari.transport": "要求の送り方。接続していなければ null",
    "ari.reconnects": "2 回目以降の接続",
    "brake.subjects": (
        "発信の抑止により記録・抑制・停止しているもの(新しい 100 件)。token、kind、line、label(番号なら空)、"
        "step、signal、since_s、node、call_id のリスト"
    ),
    "brake.trouble": "ほかのノードの停止を取得できない理由。取得できていれば、またはほかのノードがなければ空",
    "hook.loaded": "Asterisk が読み込んだフックのダイジェスト。読み込まれていなければ空、不明なら null",
    "hook.current": "それが、この版と設定のフックか。不明なら null",
    "agi.listen": "AGI を待ち受ける場所。待ち受けていなければ null",
    "calls.in_progress": "判定から終わりまでの間にある通話",
    "calls.longest_seconds": "そのうち最も古い判定からの時間。通話がなければ null",
    "calls.oldest": (
        "そのうち最も古い通話(最大 100 件)。通話 ID、判定時刻、結果、理由、状態のリスト。"
        "状態は `dialling`(呼び出し中)、"
        "`answered`(応答)、`connected`(接続)、`suspended`(番号が停止されたため Asterisk が終了させる通話)"
    ),
    "calls.decided": "判定した通話(フックが単独で判定したものを含む)",
    "calls.decisions": "判定した通話の、結果別・理由別の件数。結果、理由、件数のリスト",
    "calls.ended": "終わった通話(IDTONE_STATUS 別)",
    "calls.suspended": "番号が停止されたため、サービスが終了させた通話(停止の文書番号別)",
    "calls.with_sound": "終わった通話のうち、接続され、かつ音を聞かせると判定されていた通話",
    "calls.sent": "そのうち、すべての音が送信済みの通話",
    "calls.confirmed": "`sent` のうち、すべての音が電話機自身の報告で確認された通話",
    "calls.sent_ratio": "`with_sound` のうち `sent` の割合。そのような通話がなければ null",
    "calls.decision_seconds": (
        "フックの問い合わせから判定までの時間(インターフェース別)。"
        "件数と、度数分布から推定した中央値と 99 パーセンタイル"
    ),
    "registry.version": "登録簿の版。登録簿がなければ 0",
    "registry.trust": "`signed` または `unsigned`。登録簿がなければ null",
    "registry.issued": "発行時刻",
    "registry.expires": "期限",
    "registry.suspensions_in_force": "現在有効な停止(番号、番号帯、会員)の数",
    "registry.suspensions_sha256": "使用中の署名付き `suspensions.yaml` の SHA-256。なければ null",
    "suspensions.own": "このノードによる停止(`idtone suspend`)のうち、終了していないもの、または未了の措置があるもの"
    "(新しい 100 件)の一覧: `id`、`state`、`reference`、`numbers`(番号の数)、`asked`、"
    "`in_force`(サービスが確認するまで null)、`calls_ended`、`home`(停止を申請したノード。このノードなら空)、"
    "`not_confirmed_by`(まだ確認していないほかのノード)、`duties`(`kind`、`due`、`overdue`)",
    "registry.licence_lapses": "`association.member` の有効な利用許諾がなくなる時刻の一覧: `direction`、`at`、"
    "`licence`(最後の利用許諾の ID)、`suspended`(一時停止中でなければ有効な利用許諾の ID。なければ空)。"
    "利用許諾のない種類と、失効から 90 日が過ぎた種類は含みません",
    "registry.certification_lapses": "最初に失効または確認期日を迎える認定の時刻。認定の記録がなければ null",
    "registry.never_originates": "発信に使われない番号の一覧の項目数。協会が一覧を公開していなければ null",
    "registry.taken": "この登録簿を使い始めた時刻",
    "lines": (
        "利用者の回線の表。`customers`(利用者数)、`lines`(回線数)、`numbers`(番号数)、`taken`(使い始めた時刻)、`trouble`(最新の表を"
        "使えない理由。なければ空)。利用者の番号を確認しない設定では null"
    ),
    "fallback.current": "この登録簿の停止番号が Asterisk に渡っているか",
    "association.trouble": "`association.member` の問題(未設定、または登録簿にない)。なければ空",
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
    "ledger.ends_given_up": "終わりの署名を断念した以前のログのリスト",
    "ledger.set_aside": "壊れたため別名に変えられ、まだ移動されていない台帳のファイルのリスト",
    "ledger.timestamp": (
        "時刻認証局のタイムスタンプ。最新の先頭に最後に付いた日時(`at`、まだなければ null)、`every_seconds`、"
        "遅れているかどうか(`overdue`)、認証局の応答の問題(`trouble`)。設定に認証局がなければ null"
    ),
    "ledger.witnesses": "証人のリスト。名前、最後に連署した葉の数(不明なら 0)、問題",
    "backup": (
        "最後のバックアップ(`idtone backup`)の `at`(作成前は null)、`archive`、"
        "`newest_call`(含まれる最新の通話が終わった日時)、`drilled_at`(復元訓練が最後に正常だった日時)、"
        "`every_seconds`、次が遅れているかどうか(`overdue`)。設定に宛先がなければ null"
    ),
    "canary": (
        "最後のカナリア通話(`idtone canary`)の `at`(発信前は null)、`good`、`verdict`、`says`、`fault`、`detail`、"
        "`expected`、`call_id`、`outcome`、`reason`、`status`、`level_dbm0`、`lasted_s` と、"
        "発信間隔の `every_seconds`。設定にカナリアがなければ null"
    ),
    "replication": "PostgreSQL にまだないステップの数と、問題。PostgreSQL を使わなければ null",
    "settings": (
        "使用中の全ノード共通の設定。`version`(版)、`sha256`、`signed`(署名の日時)と、`overrides`(このノードが"
        "異なる値にしている項目。`policy.waiting: 100` など。電話番号や会員を含む項目は `(not shown)`)。"
        "`fleet.settings` がなければ null"
    ),
    "metrics.listen": "メトリクスの場所。無効なら null",
}
"""Field → its meaning in Japanese."""


STATE_HEAD: Final = """
## The state in PostgreSQL

If several nodes share a PostgreSQL, each second each of them puts this object into the table `meta` of its schema
there, in the row `state`: `{"heard": …, "writer": …, "state": {…}}`. `heard` is the time by PostgreSQL's clock in µs
since 1970, `writer` names the process. Fields without a meaning here mean the same as above.

| field | meaning |
|---|---|
"""
STATE_HEAD_JA: Final = """
## PostgreSQL にある状態

複数のノードが PostgreSQL を共有している場合、各ノードは毎秒、
自分のスキーマの表 `meta` の行 `state` に次のオブジェクトを書き込みます。
形は `{"heard": …, "writer": …, "state": {…}}` です。
`heard` は PostgreSQL の時計による時刻(1970 年からの µs)、`writer` はプロセスを表します。
意味を書いていない項目は、上の表と同じです。

| 項目 | 意味 |
|---|---|
"""
STATE_JAPANESE: Final = {
    "brake": (
        "発信の抑止による停止と解除を、ほかのノードに伝えるもの。`told` はトークンの JSON テキスト、"
        "`mac` はフリートの鍵による認証です。鍵がなければ null"
    ),
    "format": "この形式の版。項目が変わるかなくなると変わります",
    "at": "作成した時刻(ノードの時計)",
    "running": "サービスが動いているか。停止の指示を受けると false",
    "clock": (
        "PostgreSQL の時計がノードの時計より進んでいる秒数の下限と上限。前回の報告の送信と応答の時刻による。初回は null"
    ),
    "rivals": "直近 10 回の報告のうち、同じノードを名乗る別のサービスの報告を置き換えた回数",
    "calls.a_second": "1 秒あたりに判定した通話(直近 10 秒間)。初回は null",
    "calls.over": "終わった通話",
    "suspensions": (
        "このノードの事業者による停止(`idtone suspend`)をほかのノードに伝えるもの。フリートの鍵で暗号化しています。"
        "鍵がないか、停止がなければ null"
    ),
    "ledger.witness_troubles": "連署していない証人のリスト。名前、問題",
}
"""Field of the state that the feed does not have → its meaning in Japanese."""


def page(japanese: bool) -> str:
    lines = [HEAD_JA if japanese else HEAD]
    lines += [f"| `{each.name}` | {JAPANESE[each.name] if japanese else each.meaning} |\n" for each in FEED]
    lines.append(STATE_HEAD_JA if japanese else STATE_HEAD)
    for each in STATE:
        meaning = STATE_JAPANESE[each.name] if japanese and each.meaning else each.meaning
        lines.append(f"| `{each.name}` | {meaning} |\n")
    return "".join(lines)
