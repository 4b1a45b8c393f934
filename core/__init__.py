"""The base of all packages: a call as data and its decision, numbers, documents, settings, errors."""
