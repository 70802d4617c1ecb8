"""The workshop of the toys and of toynet: shapes built from numbers, and what was made of them.

* ``python -m benchmarks.toyshop.toys`` makes ``acqplan/rig/toys.npz`` of `toy_shapes`.
* ``python -m benchmarks.toyshop.pretrain`` trains toynet on `families`, none of which is a category of the toys.

Run both from the root of the repository.
"""
