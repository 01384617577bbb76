"""Data sets that this program writes: whole or not at all, and continued after a kill."""
