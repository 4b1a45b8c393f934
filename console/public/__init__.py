"""The pages for everyone, without scripts, cookies or sign-in."""
