"""The embedded search index: SQLite with FTS5, derived of what the OpenML server lists (docs/search.md)."""
