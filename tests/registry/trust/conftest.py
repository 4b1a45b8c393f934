"""Fixtures: an association that has published a registry, and a member's machine."""

from lab.registry.trust.begun_association import association, begun, certificate, machine

__all__ = ["association", "begun", "certificate", "machine"]
