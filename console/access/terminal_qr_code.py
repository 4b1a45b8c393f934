"""QR codes for terminals.

Each line of text shows two rows of squares, dark on light regardless of the terminal's colors.
"""

from typing import Final

MARGIN: Final = 4
"""Width of the light margin around a code, in squares (ISO/IEC 18004)."""
_BLOCKS: Final = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
_DARK_ON_LIGHT, _AS_BEFORE = "\x1b[38;5;16;48;5;231m", "\x1b[0m"


def squares(text: str) -> list[list[bool]]:
    """Rows of the text's QR code without its margin, where True is a dark square."""
    # This imports all of ReportLab's graphics, which takes half a second. Only users who set up a second factor need
    # it.
    from reportlab.graphics.barcode.qrencoder import QR8bitByte, QRCode, QRErrorCorrectLevel

    code = QRCode(None, QRErrorCorrectLevel.M)
    code.addData(QR8bitByte(text))
    code.make()
    return [[bool(square) for square in row] for row in code.modules]


def lines(text: str) -> list[str]:
    """The text's QR code as lines for a terminal."""
    code = squares(text)
    width = len(code) + 2 * MARGIN
    light = [[False] * width for _ in range(MARGIN)]
    rows = [*light, *([False] * MARGIN + row + [False] * MARGIN for row in code), *light]
    rows += [[False] * width] * (len(rows) % 2)
    return [
        _DARK_ON_LIGHT + "".join(_BLOCKS[pair] for pair in zip(upper, lower, strict=True)) + _AS_BEFORE
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]
