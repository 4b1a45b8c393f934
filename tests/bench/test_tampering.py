"""The tables on the evidence pages, made from the bench's results."""

import json
import sys

import pytest

from bench import results_in_docs, tampering, tampering_page

MARKS = f"{results_in_docs.begin(tampering_page.BENCH)}\nold\n{results_in_docs.END}\n"
COUNTS = {"before: found": 76, "before: not found": 1, "before: cannot be": 9}
FOUND = {
    "kinds": [
        {"verifier": name, "kinds": 187, **COUNTS, "after: found": 149, "after: not found": 0, "after: cannot be": 0}
        for name in ("idtone ledger verify", "verify_pack.py")
    ],
    "random": [
        {"what": what, "tried": 5000, "found": 4982, "harmless": 17, "not found": 1}
        for what in ("row", "page", "tile", "pack")
    ],
    "worst": [
        {"input": "zeros", "verifier": "verify_pack.py", "exit_code": 1, "seconds": 61.2, "mib": 300},
        {"input": "zeros", "verifier": "verify-pack.mjs", "exit_code": 1, "seconds": 2.0, "mib": 1331},
    ],
}


def test_the_pages_say_what_was_found_and_what_was_not(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [tmp_path / "en.md", tmp_path / "ja.md"]
    for page, name in zip(pages, ("ENGLISH", "JAPANESE"), strict=True):
        assert results_in_docs.text_in(getattr(tampering_page, name), tampering_page.BENCH)
        page.write_text(f"before\n{MARKS}after\n")
        monkeypatch.setattr(tampering_page, name, page)
    result = tmp_path / "result.json"
    result.write_text(json.dumps(FOUND))
    monkeypatch.setattr(sys, "argv", ["tampering", "--page", "--result", str(result)])
    for _ in range(2):  # the second time in place of the first
        assert tampering.main() == 0
    english, japanese = (page.read_text() for page in pages)
    for text in (english, japanese):
        assert (text.count("before\n"), text.count("after\n"), "old" in text) == (1, 1, False)
        assert "5,000 | 4,982 | 17 | 1 |" in text
    assert "| `verify_pack.py` | 187 | 76 of 77 in what it reads | 149 of 149 in what it reads |" in english
    assert "Of 20,000 random changes, 4 changed the content and were missed:" in english
    assert (
        "The 1 worst inputs that we could think of took at most 61 s of processor time (zeros: verify_pack.py) and "
        "1.3 GiB of memory (zeros: verify-pack.mjs). 1 of them exceeded a limit." in english
    )
    assert "20,000 件のうち、読み取る内容が変わるのに検出されなかったものは 4 件です。" in japanese


def test_no_page_is_written_without_being_asked_or_at_a_place_that_it_does_not_have(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [tmp_path / "en.md", tmp_path / "ja.md"]
    for page, name, text in zip(pages, ("ENGLISH", "JAPANESE"), (MARKS, "no place\n"), strict=True):
        page.write_text(text)
        monkeypatch.setattr(tampering_page, name, page)
    result = tmp_path / "result.json"
    result.write_text(json.dumps(FOUND))
    monkeypatch.setattr(sys, "argv", ["tampering", "--result", str(result)])
    with pytest.raises(SystemExit):
        tampering.main()
    with pytest.raises(ValueError, match=r"ja\.md: the text goes between"):
        tampering_page.write(FOUND)
    assert [page.read_text() for page in pages] == [MARKS, "no place\n"]
