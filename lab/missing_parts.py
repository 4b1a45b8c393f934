"""Finds expected parts that are missing from a page or a log."""


def missing_parts(text: str, *parts: str) -> list[str]:
    """The parts that `text` does not contain."""
    return [part for part in parts if part not in text]
