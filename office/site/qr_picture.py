"""Draws QR codes as SVG pictures with reportlab's encoder."""

from functools import partial
from html import escape
from itertools import groupby
from typing import Any

from idtone.core.terminal.extras import require

_QUIET: int = 4
"""Width of the margin around the code, in modules (ISO/IEC 18004)."""


def qr_picture(text: str, title: str) -> str:
    """Draw a text as a black-on-white QR code in SVG. Raises UsageError if reportlab is not installed."""
    require("reportlab")
    from reportlab.graphics.barcode import qrencoder

    code: Any = qrencoder.QRCode(None, qrencoder.QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    count = code.getModuleCount()
    dark = ""
    for row in range(count):
        for is_dark, columns in groupby(range(count), partial(code.isDark, row)):
            first, *others = columns
            if is_dark:
                dark += f"M{first + _QUIET} {row + _QUIET}h{len(others) + 1}v1H{first + _QUIET}z"
    size = count + 2 * _QUIET
    return (
        f'<svg class="qr" role="img" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}">'
        f'<title>{escape(title)}</title><path fill="#fff" d="M0 0h{size}v{size}H0z"/><path d="{dark}"/></svg>'
    )
