"""Generates docs/reference/metrics.md from the table of metrics. `tools/reference_pages.py` writes the page."""

from typing import Final

from idtone.service.metrics import METRICS

HEAD: Final = """\
# Metrics

The service serves them at `metrics.listen`, in Prometheus' text format ([Monitor](../how-to/monitor.md)). It also
serves prometheus-client's metrics `process_…`: processor time, memory, open files, time of the start. Each instance
counts from 0, so counters begin again after a start and after a hand-over; Prometheus expects that. No metric holds a
telephone number, a call id or a member.

| metric | kind | labels | meaning |
|---|---|---|---|
"""
HEAD_JA: Final = """\
# メトリクス

サービスが `metrics.listen` で、Prometheus のテキスト形式で公開します([監視する](../how-to/monitor.md))。
このほかに prometheus-client の `process_…`(CPU 時間、メモリー、開いているファイル、起動時刻)があります。
カウンターは起動時と引き継ぎの後に 0 から数え直します(Prometheus はこれを考慮します)。
電話番号、通話 ID、会員は含まれません。

| メトリクス | 種類 | ラベル | 意味 |
|---|---|---|---|
"""
JAPANESE: Final = {
    "idtone_build_info": "動作中の版(値は常に 1)",
    "idtone_decisions_total": (
        "通話の判定。フックが自分で判断した場合(フォールバック)の interface は none、"
        "判定前に終わった通話の outcome は none です。判定が間に合わなかった通話は、フックも判断したので 2 回数えます"
    ),
    "idtone_emergency_calls_of_suspended_numbers_total": "転送元番号が停止中でも接続した緊急通報",
    "idtone_foreign_number_calls_total": "転送元番号を他の会員が保有する通話",
    "idtone_member_known": (
        "association.member が設定され、使用中の登録簿にあれば 1。なければ 0(どの利用許諾も有効になりません)"
    ),
    "idtone_calls_ended_total": "終わった通話(IDTONE_STATUS 別)。終わり方が分からないものは INTERRUPTED",
    "idtone_calls_in_progress": "判定から終わりまでの間にある通話",
    "idtone_calls_with_sound_total": (
        "終わった通話のうち、接続され、かつ音を聞かせると判定されていた通話。前のプロセスが判定した通話は除きます"
    ),
    "idtone_calls_sent_total": "idtone_calls_with_sound_total のうち、すべての音の全パケットを送信した通話",
    "idtone_calls_confirmed_total": "idtone_calls_sent_total のうち、すべての音が電話機自身の報告で確認された通話",
    "idtone_calls_sound_failed_total": "idtone_calls_with_sound_total のうち、音を最後まで再生できなかった通話",
    "idtone_sound_files_damaged": (
        "サービスが作成したものと異なる音声ファイルと、Asterisk が代わりに再生しうる余分なファイルの数。"
        "その音の代わりに一般の通知音が流れます"
    ),
    "idtone_sound_file_changes_total": "音声ファイルがサービスの作成したものと異なることを検出した回数",
    "idtone_decision_seconds": "フックの問い合わせから、判定が確定して返せるようになるまでの時間",
    "idtone_connect_seconds": "音を鳴らした通話の、応答から接続までの時間(音の長さを含みます)",
    "idtone_chain_tokens_total": (
        "フリートの他のノードから(fleet.trunks で)来た通話のチェーントークンの、結果(result)別の数。"
        "有効なのは accepted だけで、それ以外では音を鳴らします"
    ),
    "idtone_brake_subjects": (
        "発信の抑止により記録・抑制・停止している回線、利用者、トランク、番号の数。段階(step)別: mark、slow、stop"
    ),
    "idtone_brake_steps_total": "このノードで、それらが各段階になった回数",
    "idtone_brake_surge": "多くの回線の発信が同時に普段より増え、上限を引き上げている間は 1、それ以外は 0",
    "idtone_brake_shared": (
        "ほかのノードの停止を取得できていれば 1、いなければ 0。PostgreSQL または fleet.key_file がなければ出力しません"
    ),
    "idtone_ari_connected": "Asterisk の ARI に接続していれば 1、いなければ 0",
    "idtone_hook_loaded": "Asterisk がフックを読み込んでいれば 1、いなければ 0。分からない間は出力しません",
    "idtone_ari_reconnects_total": "ARI への 2 回目以降の接続",
    "idtone_journal_lag_seconds": "ジャーナルを最後まで読んでからの時間(通常は 1 秒未満)",
    "idtone_journal_held_files_total": (
        "プロセスが 1 分を超えて開いていたため、空にして削除した古いジャーナルファイルの数"
    ),
    "idtone_fallback_file_current": (
        "サービスの停止中に備えた番号停止の一覧が Asterisk に渡っていれば 1、いなければ 0"
    ),
    "idtone_registry_version": "使用中の登録簿の版。登録簿がなければ 0",
    "idtone_registry_issued_timestamp_seconds": "使用中の登録簿の発行時刻",
    "idtone_registry_expires_timestamp_seconds": "使用中の登録簿の期限",
    "idtone_suspensions_in_force": "有効な停止(番号、番号帯、会員)の数。登録簿がなければ fallback.conf の項目数",
    "idtone_licence_lapses_timestamp_seconds": (
        "`association.member` の有効な利用許諾がこの種類の通話になくなる時刻。"
        "利用許諾のない種類と、失効から 90 日が過ぎた種類は出力しません"
    ),
    "idtone_certification_lapses_timestamp_seconds": (
        "`association.member`(設定がなければすべての会員)の番号に関係する認定のうち、最初に失効または確認期日を迎える時刻。"
        "認定の記録がなければ出力しません"
    ),
    "idtone_never_originates_entries": "発信に使われない番号の一覧の項目数。協会が一覧を公開していなければ出力しません",
    "idtone_lines_current": (
        "最新の回線の表を使っていれば 1、表に誤りがあるか読み込み元に届かなければ 0。"
        "利用者の番号を確認しない設定では値なし"
    ),
    "idtone_lines_numbers": "使用中の回線の表の番号の数。一度も読めていなければ 0(発信はすべて拒否)",
    "idtone_ledger_unwritten_steps": "まだ書き込めていない、または書き込めなかった証跡のステップ",
    "idtone_ledger_signed": "書き込む証跡に署名していれば 1、いなければ 0(理由は `idtone status`)",
    "idtone_ledger_unsigned_ends": "終わりの署名を待っている、このノードの以前のログの数(名前は `idtone status`)",
    "idtone_ledger_quarantined_steps": "台帳にある、idtone が書いていない、または変更されたステップ(署名されません)",
    "idtone_ledger_set_aside": "壊れたため別名に変えられ、まだ移動されていない台帳の数",
    "idtone_ledger_unreplicated_steps": "PostgreSQL にまだない証跡のステップ",
    "idtone_ledger_replicated": "直近の試みで PostgreSQL に証跡を送れていれば 1、いなければ 0",
    "idtone_ledger_reserve_bytes": "証跡のための予備領域の残り",
    "idtone_ledger_reserve_size_bytes": "予備領域の大きさ(ledger.reserve)",
    "idtone_ledger_free_bytes": "証跡に使えるディスクの空き(予備領域を除く)",
    "idtone_ledger_room_seconds": "直近 1 週間の増え方で、ディスクの空きが足りる時間",
    "idtone_canary_good": (
        "最後のカナリア通話で、音が正しく届いていれば 1、いなければ 0(まだ発信していなければありません)"
    ),
    "idtone_canary_timestamp_seconds": (
        "最後にカナリア通話を発信した時刻。まだなければ 0、設定にカナリアがなければありません"
    ),
    "idtone_canary_every_seconds": "カナリア通話を発信する間隔(canary.every)",
    "idtone_stamped_timestamp_seconds": (
        "木の最新の先頭に、時刻認証局のタイムスタンプが最後に付いていた日時。まだなければ 0。"
        "設定に ledger.timestamp.url がなければ出力されない"
    ),
    "idtone_stamped_every_seconds": "タイムスタンプを付与する間隔(ledger.timestamp.every)",
    "idtone_backup_timestamp_seconds": (
        "最後のバックアップの日時。まだなければ 0。設定に backup.recipients がなければ出力されない"
    ),
    "idtone_backup_every_seconds": "バックアップを作成する間隔(backup.every)",
    "idtone_backup_drill_timestamp_seconds": (
        "このノードで `idtone restore --drill` が最後に正常だった日時。まだなければ 0。"
        "backup.recipients がなければ出力されない"
    ),
    "idtone_canary_level_decibels": "最後のカナリア通話で届いた音のレベル(dBm0)",
    "idtone_started_timestamp_seconds": "このプロセスが判定を始めた時刻",
    "idtone_hand_overs_total": "サービスの起動後に行われた引き継ぎの回数。次のプロセスが続けて数えます",
    "idtone_clock_timestamp_seconds": "このマシンの時計の時刻",
}
"""Metric → its meaning in Japanese."""


def page(japanese: bool) -> str:
    lines = [HEAD_JA if japanese else HEAD]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        meaning = JAPANESE[metric.name] if japanese else metric.meaning
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {meaning} |\n")
    return "".join(lines)
