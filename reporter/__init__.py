"""From the facts of a run to README.md and report.html."""
