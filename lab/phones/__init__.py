"""Telephones, clients and media relays of others, as test equipment beside the lab's own phones."""
