"""The life of an account, shared by the rooms that have routes: create, confirm, log in, log out."""
