"""The formats that are read: a module each, named by a file of conf/annotations."""
