"""The ARI interface: Asterisk asks over its REST interface, once per call."""
