"""Backups: made while the service runs, checked, restored on an empty machine; and moves, which are both at once."""
