"""Collections of tasks (suites) and of runs (studies) on OpenML."""
