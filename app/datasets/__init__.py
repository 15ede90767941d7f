"""What describes a dataset on OpenML, changed: the edit form, and tags."""
