"""The folders of a data set: their names, the files in them, and which mask is whose."""
