"""What the hook costs over Asterisk's own Dial(…,A(file)), on a real Asterisk, in one run: `make bench`."""
