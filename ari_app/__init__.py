"""The ARI interface: Asterisk sends the hook's request over its REST interface, once per call."""
