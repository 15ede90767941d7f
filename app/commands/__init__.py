"""The commands of `openml-web` that look after mails and accounts, and the one that uploads from a script."""
