"""What the files of published datasets hold: statistics, rows and other formats, computed once and kept for a while."""
