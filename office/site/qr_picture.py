"""A QR code as SVG, by the encoder of reportlab, which the office has for its papers."""

from __future__ import annotations

from html import escape
from typing import Any

from idtone.core.terminal.extras import require

_QUIET: int = 4
"""Modules around the code (ISO/IEC 18004)."""


def qr_picture(text: str, title: str) -> str:
    """The picture, in black on white. Raises UsageError if reportlab is not installed."""
    require("reportlab")
    from reportlab.graphics.barcode import qrencoder

    code: Any = qrencoder.QRCode(None, qrencoder.QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    count = code.getModuleCount()
    dark = "".join(
        f"M{column + _QUIET} {row + _QUIET}h1v1h-1z"
        for row in range(count)
        for column in range(count)
        if code.isDark(row, column)
    )
    size = count + 2 * _QUIET
    return (
        f'<svg class="qr" role="img" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}">'
        f'<title>{escape(title)}</title><path fill="#fff" d="M0 0h{size}v{size}H0z"/><path d="{dark}"/></svg>'
    )
