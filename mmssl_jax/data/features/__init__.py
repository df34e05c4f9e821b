"""Item features: which a folder holds, reading them, and filling what is missing."""
