"""Scores of networks, their files and their page."""
