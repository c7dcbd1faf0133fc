"""How fast graft is, beside what people would write themselves: `python -m benchmarks`."""
