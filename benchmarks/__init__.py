"""How fast glassnet is, beside its peers on the same machine in the same minutes: `python -m benchmarks`."""
