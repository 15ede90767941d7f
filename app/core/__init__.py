"""What every room may use and that knows no room: settings, errors, passwords, tokens, time, logging."""
