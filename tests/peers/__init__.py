"""What other libraries compute too: one table, walked by the equality tests and the benchmarks.

Each row names our function and the libraries that have its equal: the function of the same name in
the library's module here takes the same arguments, makes ready what can be made ready beforehand,
and returns what is to be run. A library is imported no earlier than it is asked for.
"""

from __future__ import annotations

from peers.networks import DECODE, EVALUATE, NETWORKS
from peers.operations import CORRELATE, LAYERS, POOL, SUBSTITUTE, UNPOOL
from peers.task import PRECISIONS, Task, arrays, deviation

__all__ = ["PRECISIONS", "TASKS", "Task", "arrays", "deviation"]

TASKS = [*CORRELATE, *POOL, *SUBSTITUTE, *UNPOOL, *LAYERS, *NETWORKS, *DECODE, *EVALUATE]
