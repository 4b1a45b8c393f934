"""The AGI interface: Asterisk sends the hook's request over FastAGI, once per call."""
