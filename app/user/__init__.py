"""Accounts with a login: who am I, my profile, my API key, log out."""
