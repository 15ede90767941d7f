"""Receiving uploads, and their state until publication."""
