"""One file for each layout of data folders that is read."""
