"""One run put to use: recommendations, and exported vectors and lists."""
