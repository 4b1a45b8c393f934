"""The ARI interface: Asterisk asks over its REST interface, once a call."""
