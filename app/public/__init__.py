"""Accounts without a login: sign up, confirm, log in."""
