"""A run on disk: its folder, how it ended, who works in it."""
