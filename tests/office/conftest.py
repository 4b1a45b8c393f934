"""An authority that has published its first edition."""

from lab.office.authority.office import new_office, office

__all__ = ["new_office", "office"]
