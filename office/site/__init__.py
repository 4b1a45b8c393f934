"""The public side of the sound: a static site for citizens, and the service that helps its page to look up a number."""
