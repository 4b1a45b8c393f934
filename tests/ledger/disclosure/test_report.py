"""The report of a pack: its content as an HTML page and as a PDF."""

import html
import io
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pypdf
import pytest
from pypdf.generic import ContentStream

from idtone.call_control.sound_delivery import KnownBy
from idtone.core.calls import Delivery, Party
from idtone.core.numbers import Number, NumberKind, parse
from idtone.core.paper.content import Paper, Section, Table
from idtone.core.paper.html import as_html
from idtone.core.paper.pdf import as_pdf
from idtone.ledger.disclosure.disclosure_request import requests
from idtone.ledger.disclosure.evidence_report import report
from idtone.ledger.disclosure.pack import PackRecord
from idtone.ledger.disclosure.report_words import DELIVERY, KNOWN_BY, PARTIES
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.call_record import record_of_steps
from idtone.ledger.evidence.steps import NumberRole
from lab.ledger.disclosure.packs import BASIS
from lab.ledger.sample_evidence import ALICE, BOB, CALLED, CALLER, FORWARDING, LOG, NOW, SHA256, heard_call, played_to
from lab.unpacked_packages import unpacked_tree

JAVA = "openjdk-21-jre-headless"
NUMBERS = {NumberRole.FORWARDING: parse(FORWARDING), NumberRole.CALLER: parse(CALLER), NumberRole.CALLED: parse(CALLED)}
PROFILES = {"sample": {"id": "sample", "title": "見本の識別音 <&> 吉野家・髙島﨑", "plan": "0123456789 " * 700}}


def content(calls: int = 8) -> Paper:
    tales = [
        PackRecord(record_of_steps("pbx-1", heard_call(f"pbx-1-1793491200.{n}", n)), (n,), NUMBERS)
        for n in range(calls)
    ]
    week = timedelta(days=7)
    asked = steps.export_requested("act-1", NOW, ALICE, "R-7", ["c-1", "c-2"], False, SHA256, NOW + week)
    [request] = requests([asked, steps.export_approved("act-2", NOW, BOB, "act-1", SHA256, NOW + week)]).values()
    return report("令和8年(わ)第1234号 <&>", NOW, tales, PROFILES, str(LOG), BASIS, request)


def texts(made: Paper) -> list[str]:
    found = []
    for section in made.sections:
        found += [section.heading, *(text for fact in section.facts for text in fact), *section.paragraphs]
        if section.table:
            found += [*section.table.columns, *(cell for row in section.table.rows for cell in row)]
    return found


def test_a_number_from_the_digits_of_a_malformed_one_is_named_as_such():
    number = Number(NumberKind.MALFORMED, parse(FORWARDING).e164)
    told = PackRecord(record_of_steps("pbx-1", heard_call("c-1")), (0,), NUMBERS | {NumberRole.FORWARDING: number})
    [found] = [text for text in texts(report("R-7", NOW, [told], {}, str(LOG), BASIS)) if text.startswith(number.e164)]
    assert found.endswith("the digits of a text that is no telephone number)")


def read(pdf: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(pdf))


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


def test_page_and_paper_say_all_of_the_content_and_every_page_says_which_it_is():
    made = content()
    pages = [each.extract_text() for each in read(as_pdf(made)).pages]
    assert len(pages) > 4
    for number, text in enumerate(pages, 1):
        assert f"{number} / {len(pages)}" in text
        assert made.title in text
    # Without the line at the foot, in the middle of which a long text may go on overleaf.
    on_paper = squeezed(
        "".join(text.replace(made.title, "").replace(f"{n} / {len(pages)}", "") for n, text in enumerate(pages, 1))
    )
    on_page = squeezed(html.unescape(re.sub("<[^<>]*>", "", as_html(made).decode())))
    for text in texts(made):
        assert squeezed(text) in on_page, text
        assert squeezed(text) in on_paper, text
    for text in ("alice", "bob", "+81312345678", "判定 / decided", "吉野家・髙島﨑", "2026-11-01 09:00:00.123+09:00"):
        assert squeezed(text) in on_paper, text


def sounds(known_by: dict[Party, str | None]) -> str | None:
    record = record_of_steps("pbx-1", played_to(known_by))
    made = report("R-1", NOW, [PackRecord(record, (0,), NUMBERS)], {}, str(LOG), BASIS)
    return dict(made.sections[2].facts).get("音の到達 / sounds")


def test_what_is_known_of_a_sound_and_by_what():
    called, unknown = "着信側 / called party", "不明 / not known"
    for known_by, words in (
        ({Party.CALLED: "packets"}, f"{called}: 送信済み / sent (送信パケット数による / by packets)"),
        ({Party.CALLED: "playback"}, f"{called}: {unknown} (再生の完了による / by playback)"),
        (
            {Party.CALLED: "time", Party.CALLER: "dial"},
            f"{called}: {unknown} (再生時間による / by time), "
            f"発信側 / caller: {unknown} (Dial() の続行のみによる / by Dial() alone)",
        ),
        ({Party.CALLER: "of-tomorrow"}, f"発信側 / caller: {unknown} (of-tomorrow)"),
        ({Party.CALLER: None}, f"発信側 / caller: {unknown}"),
        ({}, "音なし / no sound"),
    ):
        assert sounds(known_by) == words


def test_all_that_can_be_known_and_all_parties_have_words():
    assert set(KNOWN_BY) == set(KnownBy)
    assert set(DELIVERY) == set(Delivery)
    assert set(PARTIES) == set(Party)
    proven = "".join(content(1).sections[1].paragraphs)
    for words in KNOWN_BY.values():
        assert words.japanese.removesuffix("による") + ": " in proven
        assert words.english.capitalize().replace("dial", "Dial") + ": " in proven


def test_the_steps_of_a_call_say_how_many_packets_were_sent_and_no_nonce():
    (section,) = [each for each in content(1).sections if each.table]
    assert section.table
    details = {kind: told for _, kind, told in section.table.rows}
    assert details["鳴動終了 / sound ended"] == "party=called, played_ms=400, known_by=packets, packets=20"
    assert "nonce" not in details["判定 / decided"]


def test_a_table_that_goes_on_overleaf_has_its_columns_there_too():
    rows = [("2026-11-01 09:00:00.123+09:00", "判定 / decided", f"row {n}") for n in range(100)]
    made = replace(content(0), sections=(Section("表 / table", table=Table(("時刻", "段階", "詳細"), rows)),))
    pages = [each.extract_text() for each in read(as_pdf(made)).pages]
    assert len(pages) > 1
    assert all("段階" in text for text in pages)


def test_what_the_font_has_no_picture_of_is_written_as_its_number():
    texts = ["한국어", "😀", "𠮷", "\t", "￿"]
    written = read(as_pdf(replace(content(0), sections=tuple(Section(f"<{text}>") for text in texts))))
    shown = "".join(page.extract_text() for page in written.pages)
    for text in texts:
        assert f"<{''.join(f'U+{ord(character):04X}' for character in text)}>" in shown


def test_the_same_report_is_the_same_file_in_another_process_too():
    first = as_pdf(content(2))
    assert as_pdf(content(1)) != first
    source = (
        "import sys; from tests.ledger.disclosure.test_report import *; sys.stdout.buffer.write(as_pdf(content(2)))"
    )
    assert subprocess.run([sys.executable, "-c", source], capture_output=True, check=True).stdout == first


def test_the_file_has_its_fonts_is_dated_as_the_export_and_fetches_nothing():
    octets = as_pdf(content(1))
    reader = read(octets)
    fonts = [font.get_object() for page in reader.pages for font in page["/Resources"]["/Font"].get_object().values()]
    assert fonts
    for font in fonts:
        assert "BIZUDPGothic" in font["/BaseFont"]
        assert "/FontFile2" in font["/FontDescriptor"]
    assert reader.metadata.creation_date == NOW.replace(microsecond=0)
    assert reader.metadata.title == content(1).title
    for forbidden in (b"/URI", b"/JavaScript", b"/Launch", b"/EmbeddedFile"):
        assert forbidden not in octets


def elements(node: Any) -> Iterator[Any]:
    """Elements of a PDF's structure, in reading order."""
    if "/S" in node:
        yield node
    kids = node.get("/K", [])
    for each in kids if isinstance(kids, list) else [kids.get_object()]:
        if each.get_object().get("/Type") == "/StructElem":
            yield from elements(each.get_object())


def marks(page: pypdf.PageObject, reader: pypdf.PdfReader) -> Iterator[int | None]:
    """Numbers of the marked content on a page; None for parts that are not content."""
    within: list[int | None] = []
    for operands, operator in ContentStream(page.get_contents(), reader).operations:
        if operator in (b"BDC", b"BMC"):
            assert not within
            within.append(operands[1]["/MCID"] if operator == b"BDC" else None)
            yield within[0]
        elif operator == b"EMC":
            within.pop()
        elif operator in (b"Tj", b"TJ", b"S", b"f", b"f*", b"B", b"B*"):
            assert within, "shown, and neither content nor marked as none"


def test_the_pdf_says_which_headings_paragraphs_and_cells_it_has():
    made = content(2)
    reader = read(as_pdf(made))
    catalog: Any = reader.trailer["/Root"]
    assert catalog["/MarkInfo"]["/Marked"]
    assert catalog["/Lang"] == "ja"
    found = list(elements(catalog["/StructTreeRoot"]))
    facts = sum(len(each.facts) for each in made.sections)
    tables = [each.table for each in made.sections if each.table]
    cells = sum(len(table.rows) * len(table.columns) for table in tables)
    assert Counter(each["/S"] for each in found) == {
        "/Document": 1, "/Sect": len(made.sections), "/H1": 1, "/H2": len(made.sections) - 1,
        "/P": sum(len(each.paragraphs) for each in made.sections),
        "/Table": len(tables) + sum(bool(each.facts) for each in made.sections),
        "/TR": facts + sum(len(table.rows) + 1 for table in tables),
        "/TH": facts + sum(len(table.columns) for table in tables),
        "/TD": facts + cells,
    }  # fmt: skip
    named = catalog["/StructTreeRoot"]["/ParentTree"]["/Nums"]
    for number, page in enumerate(reader.pages):
        assert (page["/StructParents"], named[2 * number]) == (number, number)
        shown = [each for each in marks(page, reader) if each is not None]
        assert shown == [*range(len(named[2 * number + 1].get_object()))]


def test_the_pdf_says_that_it_is_for_archives():
    catalog: Any = read(as_pdf(content(1))).trailer["/Root"]
    said = catalog["/Metadata"].get_data().decode()
    assert "<pdfaid:part>2</pdfaid:part><pdfaid:conformance>A</pdfaid:conformance>" in said
    assert "&lt;&amp;&gt;" in said
    [intent] = catalog["/OutputIntents"]
    assert intent["/DestOutputProfile"].get_data()[36:40] == b"acsp"


@pytest.mark.nightly
def test_a_validator_finds_the_pdf_fit_for_archives(tmp_path):
    """PDFBox's Preflight checks the PDF for PDF/A-1b.

    Debian has no veraPDF, and a PDF/A-2a of this kind meets the rules of PDF/A-1b too.
    """
    path, octets = tmp_path / "report.pdf", as_pdf(content(8))
    other = octets.replace(b"<pdfaid:part>2", b"<pdfaid:part>1").replace(b"mance>A<", b"mance>B<")
    packages = ("libpdfbox2-java", "libcommons-logging-java", "libjaxb-api-java", "libbcprov-java")
    jars = unpacked_tree(*packages) / "usr/share/java"
    java = shutil.which("java") or next(unpacked_tree(JAVA).glob("usr/lib/jvm/*/bin/java"))
    validator = [java, "-cp", f"{jars}/*", "org.apache.pdfbox.preflight.Validator_A1b", path]

    def told(content: bytes) -> str:
        path.write_bytes(content)
        return subprocess.run(validator, capture_output=True, text=True, check=False).stdout

    assert "is a valid PDF/A-1b file" in told(other)
    assert "is not a valid PDF/A-1b file" in told(other.replace(b"/OutputIntents", b"/OutputIntentz"))
