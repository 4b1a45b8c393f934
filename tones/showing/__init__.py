"""Profiles and recordings for the eye and the ear: plans, pictures, and the sound device."""
