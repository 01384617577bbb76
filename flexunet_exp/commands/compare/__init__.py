"""The parts of flexunet compare: selection of runs, cells, statistics, tables, page."""
