"""flexunet export-labels: the masks of a data set as the files of an annotation tool."""
