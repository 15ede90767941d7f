"""Tasks on OpenML: made at once, or as soon as their dataset is active."""
