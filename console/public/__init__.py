"""The pages for everyone: without scripts, cookies or a login."""
