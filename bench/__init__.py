"""Candor against TRL, in one run on one machine: ``python -m bench.run`` (docs/benchmarks.md says what and how).

Both sides get the same model, data, batch, optimiser class, precision and number of updates. Each side is TRL's or
Candor's own loop, unpatched: it runs in a thread of its own and is stopped after every step, so that they take turns
(A B A B ...) within one process and a slow minute of the machine falls on both. Only one thread ever runs; both use
one malloc arena (``MALLOC_ARENA_MAX=1``), as a main thread would. A step lasts from the end of one optimiser step to
the end of the next, with all that lies between: fetching and padding the batch, losses, gradients, metrics.
"""
