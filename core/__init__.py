"""What all rooms stand on: a call as data and its decision, numbers, documents, settings, errors."""
