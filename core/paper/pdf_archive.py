"""Parts that an archivable PDF requires (PDF/A-2a, ISO 19005-2): a colour profile and metadata."""

import struct
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.pdfbase.pdfdoc import XMP, PDFArray, PDFDictionary, PDFName, PDFStream, PDFString, PDFZCompress
from reportlab.pdfbase.ttfonts import TTFont

VERSION: Final = (1, 7)
MAKER: Final = "idtone"
_END: Final = b"endstream\n"
_D50: Final = (0.9642, 1.0, 0.8249)
_COLOURS: Final = {b"r": (0.436, 0.2225, 0.0139), b"g": (0.3851, 0.7169, 0.0971), b"b": (0.1431, 0.0606, 0.7141)}
"""Red, green and blue of sRGB (IEC 61966-2-1) for the illuminant D50."""
_XMP: Final = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
<pdfaid:part>2</pdfaid:part><pdfaid:conformance>A</pdfaid:conformance></rdf:Description>
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:format>application/pdf</dc:format>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default"></rdf:li></rdf:Alt></dc:description>
<dc:creator><rdf:Seq><rdf:li>{maker}</rdf:li></rdf:Seq></dc:creator></rdf:Description>
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"><xmp:CreatorTool>{maker}</xmp:CreatorTool>
<xmp:CreateDate>{made}</xmp:CreateDate><xmp:ModifyDate>{made}</xmp:ModifyDate></rdf:Description>
<rdf:Description rdf:about="" xmlns:pdf="http://ns.adobe.com/pdf/1.3/"><pdf:Producer>{maker}</pdf:Producer>
<pdf:Keywords></pdf:Keywords></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


class ArchivedFont(TTFont):  # type: ignore[misc]  # reportlab has no types
    """An embedded font. A document writes it last, when only the page streams are still missing.

    The font therefore adds these streams too. Each stream gets the line break that ISO 19005 requires before its end.
    """

    def addObjects(self, document: Any) -> None:
        super().addObjects(document)
        for page in document.Pages.pages:
            page.Contents = PDFStream(content=page.stream, filters=[PDFZCompress])
            document.Reference(page.Contents)
        for each in document.idToObject.values():
            if isinstance(each, PDFStream):
                each.format = partial(_with_line_break, each.format)


def _with_line_break(write: Callable[[Any], bytes], document: Any) -> bytes:
    return write(document).removesuffix(_END) + b"\n" + _END


def add_archive_parts(document: Any, title: str, made: datetime) -> None:
    """Add the colour profile and the metadata to a reportlab document.

    `made` has the time zone in which the time is shown.
    """
    metadata = _XMP.format(title=escape(title), maker=MAKER, made=made.isoformat(timespec="seconds"))
    stream = XMP(creator=lambda _: metadata.encode())
    document.Catalog.Metadata = document.Reference(stream)
    profile = PDFStream(PDFDictionary({"N": 3}), _colours())
    intent = {
        "Type": PDFName("OutputIntent"),
        "S": PDFName("GTS_PDFA1"),
        "Info": PDFString("sRGB"),
        "OutputConditionIdentifier": PDFString("sRGB"),
        "DestOutputProfile": document.Reference(profile),
    }
    # Of the keys of a catalogue it knows some only.
    defaults = {**document.Catalog.__Defaults__, "OutputIntents": PDFArray([PDFDictionary(intent)])}
    document.Catalog.__Defaults__ = defaults


def _colours() -> bytes:
    """An sRGB ICC profile (version 2.1) with a gamma of 2.2."""
    words = b"sRGB\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(words)) + words + bytes(78),
        b"cprt": b"text" + bytes(4) + b"public domain\0",
        b"wtpt": _xyz(_D50),
        **{name + b"XYZ": _xyz(colour) for name, colour in _COLOURS.items()},
        **{name + b"TRC": b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(2.2 * 256)) for name in _COLOURS},
    }
    at, table, content = 128 + 4 + 12 * len(tags), b"", b""
    for name, octets in tags.items():
        table += name + struct.pack(">II", at + len(content), len(octets))
        content += octets + bytes(-len(octets) % 4)
    date = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    head = struct.pack(">I4xI", at + len(content), 0x02100000) + b"mntrRGB XYZ " + date + b"acsp" + bytes(28)
    return (head + _xyz(_D50)[8:] + bytes(48)) + struct.pack(">I", len(tags)) + table + content


def _xyz(colour: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(each * 65536) for each in colour))
