"""The public side of the sound: a static site for citizens, and the service by which its page looks up a number."""
