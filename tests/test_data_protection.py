"""docs/explanation/data-protection.md lists everything that the product writes, in both languages."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from idtone.office.desk.document_kinds import RULES
from idtone.registry.model import RegistryDocument
from lab.repository import ROOT, modules, parsed

PAGES = [ROOT / "docs" / folder / "data-protection.md" for folder in ("explanation", "ja/explanation")]
TOOLS = {"office/authority/group_shared_files.py", "core/files.py", "ledger/keys/private_files.py"}
"""Modules that write files on behalf of other modules."""

WRITTEN: dict[str, tuple[str, ...]] = {
    "agi/server.py": (),  # a socket
    "office/authority/change_registry.py": ("registry.yaml", "suspensions.yaml", "applications/"),
    "office/commands/new_registry.py": ("registry.yaml", "suspensions.yaml"),
    "office/desk/document_store.py": ("desk.sqlite3",),
    "office/desk/office_ledger.py": ("ledger/",),
    "office/desk/reports/desk_key.py": ("reports.key", "report-officer.pub"),
    "office/desk/reports/report_store.py": ("reports.sqlite3",),
    "office/authority/edition.py": ("publication prepare",),
    "office/evaluation/plot.py": ("idtone-office evaluation list --plot",),
    "office/evaluation/results.py": ("evaluation/",),
    "office/authority/history.py": ("history/",),
    "core/signing_keys.py": ("idtone-office key new",),
    "office/authority/key_holders.py": ("key-holders.json",),
    "office/authority/write_operator_list.py": ("site",),
    "office/site/month_figures.py": ("public-figures/",),
    "office/site/site_folder.py": ("site",),
    "office/site/site_sounds.py": (),  # a WAVE file in memory
    "service/reload_result.py": (),  # the number of a process
    "office/authority/pending_rotations.py": ("history/",),
    "office/authority/pledge_store.py": ("pledges/",),
    "office/authority/tone_masters.py": ("tones/",),
    "office/authority/undo.py": ("registry.yaml", "tones/"),
    "office/authority/undo_copies.py": ("unpublished/",),
    "office/authority/json_lists.py": ("acceptances.json", "duties.json", "attendances.json", "observations.json"),
    "office/desk/applicants/submissions.py": ("submissions/",),
    "office/evaluation/enter_criteria.py": ("evaluation.yaml",),
    "office/authority/night_keys.py": ("night-keys/",),
    "office/refused/refusal_basis.py": ("refusal-basis.json",),
    "office/site/site_package.py": ("public-package",),
    "office/commands/papers.py": ("idtone-office paper -o",),
    "console/pending_tasks_mail.py": ("console-mails.json",),
    "office/authority/prepared_package.py": ("prepared/", "prepared-duty/"),
    "office/refused/change_refusals.py": ("refusals.list",),
    "office/refused/refusal_key.py": ("refusals.key",),
    "office/refused/refusal_store.py": ("refusals.sqlite3",),
    "office/authority/signed_repository.py": ("repository/",),
    "office/signing/holders_root.py": ("idtone-office publication sign-page",),
    "office/signing/package_zip.py": ("idtone-office publication sign-page",),
    "office/signing/sign_command.py": ("idtone-office publication sign-page",),
    "office/signing/zipapp_start.py": (),  # the libraries of the zipapp
    "office/authority/suspension_requests.py": ("suspension-requests.json",),
    "office/authority/folder_lock.py": (),  # empty files that are locks
    "office/authority/workspace.py": ("registry.yaml", "suspensions.yaml"),
    "call_control/brake/state_files.py": ("….brake", "….brake-lines"),
    "call_control/fallback_keeper.py": ("fallback.conf", "fallback-lines.conf"),
    "call_control/journal_reader.py": ("journal.directory",),
    "console/access/users.py": ("console.users",),
    "console/counts_file.py": ("….counted",),
    "console/read_process.py": (),  # what the kernel keeps of a process
    "console/operator/played_sound.py": (),  # a WAVE file in memory, for the browser
    "console/uploads.py": ("idtone console",),
    "console/ledger_verification.py": ("….verified",),
    "member/customers/commands/forms.py": ("idtone-office form print -o", "idtone-office form new -o"),
    "member/customers/record_store.py": ("customers.directory",),
    "dialplan/__init__.py": ("idtone.conf",),
    "member/evaluation/commands/figures.py": ("idtone-office evaluation figures -o",),
    "operations/fleet/commands/key.py": ("fleet.key_file",),
    "operations/fleet/commands/sign_settings.py": ("idtone-fleet sign -o",),
    "operations/fleet/upgrade_journal.py": ("idtone-fleet upgrade --journal",),
    "ledger/commands/disclosures.py": ("idtone-evidence disclosure deliver -o", "disclosure list --pdf"),
    "ledger/commands/tally_plot.py": ("idtone ledger stats --plot",),
    "ledger/disclosure/pack_file.py": ("idtone ledger export -o",),
    "ledger/disclosure/record_act.py": ("….acts",),
    "ledger/keys/checkpoint_file.py": ("….seen", "….cosigned"),
    "ledger/keys/successor_trees.py": ("….continued", "….damaged-…"),
    "ledger/keys/erasable_key_file.py": ("….days", "….days-held"),
    "ledger/keys/key_file.py": ("ledger.key_file", "….sign"),
    "ledger/keys/timestamp_store.py": ("….stamps",),
    "ledger/store/sqlite.py": ("ledger.url", "….lock"),
    "ledger/keys/log_keys.py": ("….sign", "….sign-2", "….token"),
    "ledger/monitor/follow_log.py": ("idtone-evidence monitor",),
    "ledger/monitor/log_state.py": ("idtone-evidence monitor",),
    "ledger/monitor/monitor.py": ("idtone-evidence monitor",),
    "ledger/tiles/tile_writer.py": ("idtone-evidence log tiles",),
    "ledger/tiles/tiles_verification.py": (),  # call ids in a file without a name, while they are compared
    "ledger/verification/reconciliation.py": ("idtone-evidence reconcile",),
    "ledger/witness/witness.py": ("idtone-evidence witness --state",),
    "ledger/writing/missing_steps_file.py": ("….owed",),
    "ledger/writing/pending_decisions.py": ("….pending", "….pending-2"),
    "ledger/writing/disk_reserve.py": ("….reserve",),
    "registry/customer_lines/databases.py": (),  # a database, which it only reads
    "registry/customer_lines/lines_source.py": ("lines.cache",),
    "member/misuse/finding_plot.py": ("idtone-office misuse plot",),
    "operations/backup/archive.py": ("idtone restore --into",),
    "operations/backup/commands.py": ("idtone backup --new-key",),
    "operations/backup/ledger_packs.py": ("….restored-…",),
    "operations/backup/make_backup.py": ("backup.directory",),
    "operations/backup/restore.py": ("….restored-…", "idtone restore --into"),
    "operations/canary/place_call.py": ("canary.spool",),
    "operations/doctor/write_trial.py": (),  # it tries to write, and removes it
    "operations/failure_mail.py": ("idtone-failed",),
    "operations/ledger_move.py": ("ledger.url",),
    "operations/make_changes.py": ("/var/backups/idtone", "idtone.yaml"),
    "operations/import_sound_master.py": ("idtone tone",),
    "operations/setup/plan_setup.py": (),  # settings without secrets, while they are checked
    "operations/suspensions_commands.py": ("idtone-evidence paper -o",),
    "operations/undo_changes.py": ("/var/backups/idtone",),
    "registry/registry_compiler.py": ("registry.cache",),
    "registry/trust/publication_client.py": ("registry.cache",),
    "registry/used_registries.py": ("registry.cache/used",),
    "service/backup_result.py": ("backup.result",),
    "service/canary_result.py": ("canary.result", "sounds.directory/canary"),
    "tones/ffmpeg.py": ("idtone tone",),
    "member/reports/commands/reports.py": ("idtone-office report new",),
    "service/suspension_confirmations.py": ("….confirmations",),
    "service/used_fleet_settings.py": ("….settings",),
    "core/terminal/command_line.py": (),  # /dev/null
    "core/terminal/standard_streams.py": (),  # /dev/null
    "core/settings/settings.py": (),  # a folder of settings, which it only reads
    "core/matplotlib_pictures.py": (),  # what the modules that draw ask for
    "registry/suspensions/suspension_file.py": ("….suspensions", "….suspensions-lock"),
    "tones/master_import.py": ("sounds.profiles", "idtone tone"),
    "tones/making/sound_files.py": ("sounds.directory",),
    "tones/showing/plotting.py": ("idtone tone plot",),
    "tones/verification/verify_folder.py": ("idtone tone verify --csv",),
}
"""Modules that write files, each with the names of these files on the pages."""
REGISTRY: dict[str, tuple[str, str] | None] = {
    "association": None, "badge": None, "criteria": None, "directions": None, "expires": None, "grade": None,
    "id": None, "issued": None, "keys": None, "kind": None, "licences": None, "percent": None, "period": None,
    "result": None, "sha256": None, "status": None, "title": None, "tone": None, "tones": None, "valid": None,
    "version": None, "evaluations": None, "members": None, "registry": None, "chains": None, "links": None,
    "since": None, "until": None, "reference": None, "authority": None, "suspensions": None,
    "next_check": None, "mark_until": None, "why": None, "portings": None, "at": None,
    "corporate_number": None, "logs": None, "key": None, "witness_policy": None, "witnesses": None,
    "cosignatures": None, "stopping_version": None, "stopping_conditions": None, "finding": None, "leads_to": None,
    "within_days": None, "text": None,
    "giver": ("members", "会員"),
    "taker": ("members", "会員"),
    "name": ("names", "名称"),
    "contact": ("reaches a member", "連絡先"),
    "web": ("web site", "ウェブサイト"),
    "mail": ("mail address", "メールアドレス"),
    "notification": ("notification as a carrier", "届出番号"),
    "certification": ("certification", "認定"),
    "mark": ("mark", "マーク"),
    "never_originates": ("never originate", "発信に使われない番号"),
    "holder": ("holders", "保有者"),
    "number": ("suspended numbers", "停止中の番号"),
    "numbers": ("numbers", "番号"),
    "member": ("members", "会員"),
    "wholesaler": ("member", "会員"),
    "reseller": ("reseller", "卸先"),
    "pledge": ("pledge", "誓約書"),
    "signed": ("signed the pledge", "誓約書の署名者"),
    "signatory": ("who signed", "署名者"),
    "document": ("document", "書類"),
    "checked": ("checked a reseller", "卸先の確認"),
    "by": ("which member checked", "卸先の確認(会員"),
    "day": ("when", "確認日"),
}  # fmt: skip
"""Fields of the registry, each with the name in its row; None for a field that is not about a person or a member."""
DOCUMENTS = {
    "figures": ("figures", "数値"),
    "report": ("reports (the call and the reporter sealed)", "申告(通話と申告者は封じたまま)"),
    "report-fetch": ("reports", "申告"),
    "report-answer": ("answers", "回答"),
    "suspension-confirmation": ("confirmations of suspensions", "番号停止の適用の報告"),
    "own-suspension": ("reports of their own ones (no numbers)", "事業者自身による停止の報告(番号なし)"),
    "refusal-check": ("blinded checks of customers", "利用者の照合(目隠しされた値)"),
}
"""The desk's kinds of documents, each with the name in its row."""
CALLS = {
    "draft", "make_private", "mkstemp", "open_private", "rename", "replace_durably", "replace_private", "write_bytes",
    "write_picture", "write_text", "NamedTemporaryFile", "TemporaryDirectory",
}  # fmt: skip


def writes(node: ast.AST) -> bool:
    """True if the node is a call that makes, changes or renames a file."""
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name not in CALLS | {"connect", "open", "replace", "rewrite", "write"}:
        return False
    called = ast.unparse(node.func)
    if called in ("group_shared_files.write", "group_shared_files.rewrite"):
        return True
    given = [
        each.value for each in (*node.args, *(each.value for each in node.keywords)) if isinstance(each, ast.Constant)
    ]
    opened = name == "open" and any(re.fullmatch("[rbt]*[wax+][bt+]*", str(each)) for each in given)
    descriptor = called == "os.open" and any("O_CREAT" in ast.unparse(each) for each in node.args)
    database = called == "sqlite3.connect" and ":memory:" not in given
    return name in CALLS or called == "os.replace" or opened or descriptor or database


def cells(page: Path) -> list[str]:
    """The first cell of each row."""
    return re.findall(r"^\| (.*?) \|", page.read_text("utf-8"), re.MULTILINE)


def test_every_module_that_writes_is_in_the_table():
    texts = {path: path.read_text("utf-8") for path in modules()}
    possible = re.compile(r"\b(?:{})\(".format("|".join((*CALLS, "connect", "open", "replace", "rewrite", "write"))))
    found = [path for path, text in texts.items() if possible.search(text) and any(map(writes, ast.walk(parsed(text))))]
    assert {path.relative_to(ROOT).as_posix() for path in found} - TOOLS == set(WRITTEN)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.parent.name)
def test_the_page_names_everything_that_is_written(page):
    named = {each for cell in cells(page) for each in re.findall("`([^`]+)`", cell)}
    assert {each for names in WRITTEN.values() for each in names} - named == set()


def row(page: Path, name: str) -> str:
    """The second cell of a file's row: the personal data in it."""
    found = re.findall(rf"^\| [^|]*`{re.escape(name)}`[^|]* \| (.*?) \|", page.read_text("utf-8"), re.MULTILINE)
    assert len(found) == 1, name
    return str(found[0])


def fields(kind: object) -> Iterator[str]:
    """The names of all fields of a model and of the models in it, as the code has them."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            yield name
            yield from fields(field.annotation)
    for inner in get_args(kind):
        yield from fields(inner)


def test_the_rows_of_the_registry_and_of_the_desk_say_what_these_hold():
    own = set(fields(RegistryDocument)) - {"ja", "en", "start"}  # in two languages; in German style "from"
    assert own == set(REGISTRY)
    assert set(RULES) == set(DOCUMENTS)
    for language, page in enumerate(PAGES):
        for name, table in (("registry.yaml", REGISTRY), ("desk.sqlite3", DOCUMENTS)):
            said = row(page, name)
            assert {words[language] for words in table.values() if words and words[language] not in said} == set()


def test_both_pages_have_the_same_rows():
    english, japanese = ([re.findall("`([^`]+)`", cell) for cell in cells(page)] for page in PAGES)
    assert english == japanese
