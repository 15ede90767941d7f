"""Croissant: descriptions of datasets as JSON-LD, for programs and search engines."""
