"""The authority's signed publications on the command line, and a member's machine that reads them."""

import io
import resource
import shutil
import sys

import pytest
import typer

from idtone.core.errors import TrustError
from idtone.core.signing_keys import load_key, make_key, signer
from idtone.core.terminal.prompts import ask_passphrase
from lab.office.authority.office import PHRASE, STOP, TWICE, WHY
from lab.registry.examples import GOOD
from lab.registry.trust.association import STOPPED


def test_from_the_authority_to_the_member(office, tmp_path):
    config = tmp_path / "idtone.yaml"
    repository = office.folder / "repository"
    root = repository / "metadata" / "1.root.json"
    config.write_text(f"registry: {{source: {repository}, trust: {root}, cache: {tmp_path / 'cache'}}}\n")
    ask = ("decide", "--number", "0312345677", "--direction", "incoming", "-c", config, "--json")
    assert "run `idtone registry update`" in office.error(*ask)
    code, told, _ = office.run("update", "-c", config, "--json")
    assert (code, told["version"], told["trust"], told["suspensions"]) == (0, 42, "signed", 0)

    office.suspensions.write_text(STOPPED)
    told = office.json("publication publish", *WHY, *office.duty())
    assert told["signed"] == ["suspensions", "snapshot", "timestamp"]
    office.run("update", "-c", config)
    code, told, _ = office.run(*ask)
    assert (code, told["reason"], told["registry_trust"]) == (1, "number-suspended", "signed")
    code, told, _ = office.run("show", "-c", config, "--json")
    assert (told["trust"], len(told["suspensions"])) == ("signed", 1)


@pytest.mark.parametrize("keys", ["duty-1", "duty-1 duty-1", "registry-1 registry-2", "root-1 root-2"])
def test_too_few_keys_publish_nothing(office, keys):
    office.json("suspension number", *STOP, typed=TWICE)
    error = office.refused("publication publish", *office.keys(*keys.split()))
    assert "needs the signatures of 2 of its 4 duty keys, and has" in error
    assert office.json("history show")[-1]["signed"] is None


def test_a_number_is_stopped_while_a_grant_is_in_preparation(office):
    office.registry.write_text(office.registry.read_text().replace("version: 42", "version: 43"))
    office.suspensions.write_text(STOPPED)
    told = office.json("publication publish", *WHY, *office.duty())
    assert told["signed"] == ["suspensions", "snapshot", "timestamp"]
    assert told["left"] == ["registry"]
    assert "was edited by hand" in office.refused("publication publish", *office.all_keys())
    told = office.json("publication publish", *WHY, *office.all_keys())
    assert (told["signed"], told["left"]) == (["registry", "snapshot", "timestamp"], [])


def test_a_number_is_stopped_although_the_registry_is_faulty(office):
    office.registry.write_text("registry: {")
    office.json("suspension number", *STOP, typed=TWICE)
    office.registry.unlink()
    told = office.json("publication publish", *office.duty())
    assert (told["signed"], told["left"]) == (["suspensions", "snapshot", "timestamp"], ["registry"])


def test_suspensions_can_be_checked_before_they_are_published(office):
    for text, good in ((STOPPED, True), (STOPPED.replace("03123", "03x23"), False)):
        office.suspensions.write_text(text)
        code, told, _ = office.run("check", office.suspensions, "--json")
        assert (code, told["good"]) == (not good, good)
        assert told["suspensions"] == 1 if good else told["faults"][0]["line"] == 3
    assert f"{office.suspensions}:3:" in office.refused("publication publish", *WHY, *office.duty())


def test_an_edit_by_hand_is_recorded_before_it_is_published(office):
    office.suspensions.write_text(STOPPED)
    for command in (
        ["publication publish", *office.duty()],
        ["publication prepare", "--package", office.folder / "package"],
    ):
        assert (
            "suspensions.yaml was edited by hand; record it in the history with `idtone-office history note`"
            in office.refused(*command)
        )
    suzuki = office.act_as("suzuki", 1002)
    told = office.json("history note", *WHY)
    assert [(entry["action"], entry["by"]) for entry in told] == [("edit", suzuki)]
    assert "…5677: is suspended" in told[0]["what"][0]
    assert "nothing was edited by hand" in office.refused("history note", *WHY)
    office.json("publication publish", *office.duty())
    office.registry.write_text(office.registry.read_text().replace("Good Telecom", "Better Telecom"))
    assert "registry.version must be higher than 42, which was published; raise it" in office.refused(
        "history note", *WHY
    )


def test_a_mistyped_passphrase_is_asked_for_again(office, tmp_path):
    path = tmp_path / "key.pem"
    made = make_key(path, PHRASE)
    for answers, opened in (
        ([PHRASE], True),
        (["a", "b", PHRASE], True),
        (["a", "b", "c", PHRASE], False),
        (["a", "a", PHRASE], False),
    ):
        left = list(answers)
        if opened:
            assert signer(str(path), lambda _, left=left: left.pop(0)).public_key == made.public_key
            assert not left
        else:
            with pytest.raises(TrustError, match="is not a key, or the passphrase is wrong"):
                signer(str(path), lambda _, left=left: left.pop(0))
            assert left == [PHRASE]
    office.monkeypatch.setenv("IDTONE_PASSPHRASE", "another")
    assert "is not a key, or the passphrase is wrong" in office.refused("publication publish", *office.duty())


def test_a_new_passphrase_is_offered_at_a_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("IDTONE_PASSPHRASE", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: "")
    offers = []
    for _ in range(2):
        assert ask_passphrase("of the key", twice=True) == ""
        offers.append(capsys.readouterr().err.strip().removeprefix("made by chance, if you want it: "))
    assert ask_passphrase("of the key") == capsys.readouterr().err == "", "only a new one"
    assert len({*offers}) == 2
    make_key(tmp_path / "key.pem", offers[0])


def test_a_key_is_written_in_whole_or_not_at_all(tmp_path):
    """After a failed write, the key can be made again under the same name."""
    path, soft_hard = tmp_path / "key.pem", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, soft_hard[1]))
    try:
        with pytest.raises(TrustError, match="a key cannot be written here: File too large"):
            make_key(path, PHRASE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft_hard)
    assert not list(tmp_path.iterdir())
    path.with_suffix(".pub").touch()
    with pytest.raises(TrustError, match=r"key\.pub: a key cannot be written here: File exists"):
        make_key(path, PHRASE)
    assert not path.exists()


def test_a_key_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "key.pem"
    make_key(path, PHRASE)
    assert b"ENCRYPTED" in path.read_bytes()
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(TrustError, match="other users can read this key"):
            load_key(path, PHRASE)


def test_init_replaces_no_repository_and_no_key_and_makes_none_in_the_folder(office):
    others = office.folder.with_name("others")
    assert "there is a repository already" in office.refused("publication begin", "--keys", others)
    assert not others.exists()
    shutil.rmtree(office.folder / "repository")
    assert "a key cannot be written here" in office.refused("publication begin", "--keys", office.key("any").parent)
    for folder in (office.folder, office.folder / "repository" / "keys"):
        error = office.refused("publication begin", "--keys", folder)
        assert "is in the authority's folder, which others can read" in error


def test_a_forgotten_trust_setting_is_an_error(office, tmp_path):
    config = tmp_path / "idtone.yaml"
    config.write_text(f"registry: {{source: {tmp_path}}}\n")
    assert "registry.trust: is not set" in office.error("show", "-c", config)


def test_any_two_of_four_duty_officers_publish(office):
    """With only two officers, all licences would end if one of them were ill at New Year."""
    for pair in (("duty-1", "duty-4"), ("duty-2", "duty-3")):
        assert office.json("publication publish", *office.keys(*pair))["signed"] == ["snapshot", "timestamp"]
    assert "of its 4 duty keys, and has 1" in office.refused("publication publish", *office.keys("duty-3"))


def test_terms_and_thresholds_can_be_set(new_office):
    (new_office.folder / "authority.yaml").write_text(
        "sets: {duty: {keys: 3, threshold: 2}}\nlasts: {timestamp: P2D}\n"
    )
    told = new_office.json("publication begin", "--keys", new_office.key("any").parent)
    assert (new_office.key("duty-3").exists(), new_office.key("duty-4").exists()) == (True, False)
    until = {name: role["until"] for name, role in told["roles"].items()}
    assert until["timestamp"] < until["snapshot"]
    new_office.suspensions.write_text(STOPPED)
    new_office.json("publication publish", *WHY, *new_office.keys("duty-3", "duty-1"))


def test_terms_with_faults_are_refused(new_office):
    path = new_office.folder / "authority.yaml"
    for text, fault in (
        ("sets: {duty: {keys: 2, threshold: 3}}", "sets.duty.threshold: is higher than the number of keys"),
        ("sets: {duty: {keys: 2, threshold: 1}}", "sets.duty.threshold"),
        ("sets: {night: {keys: 2, threshold: 2}}", "sets.night"),
        ("lasts: {timestamps: P7D}", "lasts.timestamps: is not a role"),
        ("lasts: {timestamp: P70000D}", "lasts.timestamp: is not a plausible time"),
    ):
        path.write_text(text)
        error = new_office.refused("publication begin", "--keys", new_office.key("any").parent)
        assert (f"{path}:1:" in error, fault in error) == (True, True), text


def test_the_public_list_follows_from_the_signed_registry(office, tmp_path):
    site, root = tmp_path / "site", office.root
    office.suspensions.write_text(STOPPED)
    office.json("publication publish", *WHY, *office.all_keys(), "--site", site)
    code, listed, error = office.run("verify", "operators", site, "--trust", root, "--json")
    assert code == 0, error
    assert [operator["name"]["ja"] for operator in listed["operators"]] == ["良い電話株式会社"], (
        "the other member has no licence"
    )
    assert listed["registry_version"] == 42
    page = (site / "index.html").read_text()
    assert "良い電話株式会社" in page
    assert "2037-01-10 00:00" in page
    for text in (page, (site / "operators.json").read_text()):
        assert "12345677" not in text, "a suspended number"
        assert "0312345678" not in text

    office.json(
        "key rotate",
        "root",
        *WHY,
        *("--keys", tmp_path / "new-keys"),
        *office.keys("root-1", "root-3", "duty-1", "duty-2"),
    )
    office.json("publication publish", *office.duty(), "--site", site)
    assert office.run("verify", "operators", site, "--trust", root)[0] == 0, "by an earlier root"

    for file, old, new in (
        ("operators.json", "Good Telecom", "Evil Telecom"),
        ("proof/registry.json", '"length"', '"size"'),
    ):
        text = (site / file).read_text()
        (site / file).write_text(text.replace(old, new, 1))
        code, out, error = office.run("verify", "operators", site, "--trust", root)
        assert (code, out) == (2, "")
        assert "is not what the association signed" in error
        (site / file).write_text(text)


def test_a_page_escapes_names(office, tmp_path):
    text = GOOD.partition("suspensions:")[0].replace("version: 42", "version: 43")
    office.registry.write_text(text.replace("en: Good Telecom", "en: <script>alert(1)</script>&"))
    office.json("publication publish", *WHY, *office.all_keys(), "--site", tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in page
