"""The AGI interface: Asterisk sends its request over FastAGI, once per call."""
