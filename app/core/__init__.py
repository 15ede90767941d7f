"""Modules that every package may import and that import none: settings, errors, passwords, tokens, time, logging."""
