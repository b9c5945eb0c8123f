"""The sampler of a process among several."""

import math

from ...ops.sampling import randperm
from ...random import Generator
from .sampler import Sampler


class DistributedSampler(Sampler):
    """Every ``num_replicas``-th number, beginning with ``rank``, of a permutation that all processes share.

    Args:
        dataset: what has the length.
        num_replicas: the number of processes (default: the world size).
        rank: which of them this one is (default: its rank).
        shuffle: permute, anew for each epoch.
        seed: the permutation's seed, to which the epoch is added.
        drop_last: leave out the numbers that do not divide evenly; otherwise some come twice.

    Raises:
        ValueError: ``rank`` is out of range.
    """

    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False):
        if num_replicas is None or rank is None:
            from ... import distributed

            num_replicas = distributed.get_world_size() if num_replicas is None else num_replicas
            rank = distributed.get_rank() if rank is None else rank
        if not 0 <= rank < num_replicas:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        n = len(dataset)
        self.num_samples = n // num_replicas if drop_last else math.ceil(n / num_replicas)
        self.total_size = self.num_samples * num_replicas
        self.shuffle = shuffle
        self.seed = seed

    def __iter__(self):
        n = len(self.dataset)
        if self.shuffle:
            numbers = randperm(n, generator=Generator().manual_seed(self.seed + self.epoch)).tolist()
        else:
            numbers = list(range(n))
        if len(numbers) < self.total_size:
            numbers *= math.ceil(self.total_size / n)
        return iter(numbers[self.rank : self.total_size : self.num_replicas])

    def __len__(self):
        return self.num_samples

    def set_epoch(self, epoch):
        """Makes the next iteration use another permutation.

        Args:
            epoch: the epoch's number, the same in all processes.
        """
        self.epoch = epoch
