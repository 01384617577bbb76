"""Chooses an operating point of a run, or of folds, and keeps it as a decision."""
