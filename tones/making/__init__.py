"""Profile → samples → sound files, the same on every machine."""
