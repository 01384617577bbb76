"""The parts of flexunet check: the survey of a data set, the terminal output, the page."""
