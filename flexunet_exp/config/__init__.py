"""The composed configuration: composing, checking, building, hashing, parsing of its words."""
