"""Shows and plays profiles and recordings: plans, pictures, and the sound device."""
