"""Bytes in, and the state of what becomes of them."""
