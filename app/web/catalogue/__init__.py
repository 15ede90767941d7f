"""Pages of what is published: search, datasets, tasks, collections, people. They show documents of the index."""
