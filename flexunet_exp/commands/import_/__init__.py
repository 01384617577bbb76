"""flexunet import: the export of an annotation tool, or a public data set → an image/mask set."""
