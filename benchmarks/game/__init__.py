"""MMSSL's adversarial game at full length: what the critic sees, what it gives, other games.

`changes` has other ways to play, `look` measures the rows and the gradients of a run, `curves`
draws the runs, and `python -m benchmarks.game` plays them.
"""
