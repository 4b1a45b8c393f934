"""What both doors share: the calls in progress, the decision on each, its evidence, and the sounds."""
