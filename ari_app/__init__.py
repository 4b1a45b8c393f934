"""The ARI interface: Asterisk sends its request over its REST interface, once per call."""
