"""Phones, clients and media relays of other makers, as test equipment beside the lab's own phones."""
