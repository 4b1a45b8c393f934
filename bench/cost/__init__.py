"""The cost of the hook over Asterisk's own Dial(…,A(file)), on a real Asterisk: `make bench`."""
