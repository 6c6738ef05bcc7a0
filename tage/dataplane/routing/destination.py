"""Clusters by weight: where a route leads, and a TCP proxy."""

import cython


class Destination:
    def __init__(self) -> None:
        self.clusters = []
        self.weights = []
        self._total = 0
        self._single = -1

    def lead_to(self, clusters: list, weights: list) -> None:
        """Weights are relative; those of 0 are never chosen. Raises ValueError if all are, or one is negative."""
        self.clusters = list(clusters)
        self.weights = list(weights)
        self._total = sum(weights)
        if any(weight < 0 for weight in weights):
            raise ValueError("the weight of a cluster is negative")
        if self._total <= 0:
            raise ValueError("the weights of the clusters add up to 0")
        chosen = [i for i, weight in enumerate(weights) if weight]
        self._single = chosen[0] if len(chosen) == 1 else -1

    def pick(self, random):
        """The index of a cluster, drawn by weight."""
        drawn: cython.Py_ssize_t
        i: cython.Py_ssize_t
        if self._single >= 0:
            return self._single
        drawn = random.below(self._total)
        for i in range(len(self.clusters)):
            drawn -= self.weights[i]
            if drawn < 0:
                return i
        raise AssertionError("weights do not add up to their total")

    def pick_cluster(self, random):
        """The name of a cluster, drawn by weight."""
        return self.clusters[self.pick(random)]
