"""Benchmarks: ours beside a peer, on one machine in one run, interleaved, medians; `make bench`."""
