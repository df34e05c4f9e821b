"""Many runs: comparisons, searches, and the tables of their results."""
