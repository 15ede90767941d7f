"""Charts of results: what runs came to, by task, by flow, by run and by collection."""
