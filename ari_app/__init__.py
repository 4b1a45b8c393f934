"""The ARI door: Asterisk asks over its REST interface, twice a call."""
