"""Kept scores and their page."""
