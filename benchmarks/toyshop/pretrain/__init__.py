"""How toynet is trained: `python -m benchmarks.toyshop.pretrain`."""
