"""The AGI interface: Asterisk asks over FastAGI, once a call."""
