"""A run behind HTTP: what `recommend` says, as JSON, many requests at a time."""
