"""flexunet import-config: an INI file of the original program → an experiment and a data set."""
