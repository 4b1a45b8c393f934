"""Phones, clients and media relays of other vendors, as test equipment in addition to the lab's own phones."""
