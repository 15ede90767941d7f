"""The commands of `openml-web` that look after mails and accounts."""
