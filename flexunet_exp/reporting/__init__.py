"""How things look: panels, plots, tables, pages."""
