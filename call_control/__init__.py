"""Call control: decides each call, reads the journal that Asterisk writes, and records the evidence of both."""
