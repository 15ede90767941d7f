"""Files of each supported format, opened as tables: blocks of columns of text."""
