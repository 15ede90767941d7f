"""What administrators do, over the network and at the command line, and what everybody is told."""
