"""Panels, plots, tables and pages."""
