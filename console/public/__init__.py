"""Public pages without scripts, cookies or sign-in."""
