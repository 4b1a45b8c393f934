"""The public site about the sound: static pages, and the service with which a page looks up a number."""
