"""The public site about the sound: static pages for citizens, and the service with which a page looks up a number."""
