"""How toynet is trained: `python -m acqplan.features.pretrain`."""
