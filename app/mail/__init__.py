"""Mails: what they say (messages, templates) and how they leave (transport)."""
