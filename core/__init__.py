"""The base of all rooms: a call as data and its decision, numbers, documents, settings, errors."""
