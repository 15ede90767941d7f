"""`python -m openml_sandbox` is the command `openml-sandbox`."""

from openml_sandbox.cli import main

main()
