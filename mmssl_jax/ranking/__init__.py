"""Ranks all items for users, and judges the ranking: metrics, groups, lists."""
