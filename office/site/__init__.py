"""The public site about the sound: static pages, and the service that lets a page look up a number."""
