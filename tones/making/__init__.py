"""Profile → samples → sound files, with the same result on every machine."""
