"""The life of an account: sign-up, confirmation, log-in, profile, deletion."""
