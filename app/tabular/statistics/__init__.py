"""Statistics of a published file, a columnar copy of it, and pages and downloads of that; run in a child process."""
