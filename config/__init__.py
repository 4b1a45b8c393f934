"""Files to copy: the commented default settings, a sample registry and the shipped tone profiles."""
