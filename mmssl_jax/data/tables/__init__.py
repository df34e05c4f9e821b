"""Raw tables of interactions: columns, ids, likes, times, and the pairs in them."""
