"""What an operator has looked at when something is wrong, or before it is: `openml-web doctor`."""
