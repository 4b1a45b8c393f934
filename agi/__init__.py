"""The AGI interface: Asterisk asks over FastAGI, once per call."""
