"""From rows of the sample table to batches."""
