"""Call control: the decision on each call, the journal that Asterisk writes, and the evidence of both."""
