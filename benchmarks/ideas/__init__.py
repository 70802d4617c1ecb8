"""Rules that were tried and gained nothing, as plug-ins: ``--strategy benchmarks.ideas:Allocate``.

Each was measured against the lattice with ``python benchmarks/planning.py --parts ideas sharing``. The table has points
of accuracy on new objects over the lattice, with 95 % intervals over objects and seeds. Cells are rigs and budgets:
toys with gradient histograms (243, 486, 972 and 1,944 images), toys with toynet (the same), ETH-80 with MobileNetV2 (40
and 66) and rendered meshes with MobileNetV2 (87, 175, 350 and 700); 20 splits of the objects.

=================  ==================================================  ============================  ==============
rule               idea                                                toys, histograms, 243 images  above in
=================  ==================================================  ============================  ==============
`Allocate`         more images of objects that heads get wrong         -1.5 [-3.1, 0.0]              0 of 14 cells
`Difficulty`       more images from views that heads get wrong         -0.7 [-1.3, -0.1]             0 of 14 cells
`LearnedHerding`   herding with length scales learned from features    -0.8 [-1.4, -0.2]             0 of 14 cells
`ChooseObjects`    a pilot of all objects, then only some of them      +0.2 [-0.6, 1.1] (50 images)  0 of 8 cells
=================  ==================================================  ============================  ==============

`Allocate` and `ChooseObjects` were also measured at 2, 4, 8 and 16 images per object. On toys with histograms
`Allocate` gained +0.2, -1.2, -1.3 and -0.8 points; `ChooseObjects` with all objects, which is the lattice in the same
rounds, gained +0.2, -1.0, -1.0 and -0.7. So most of the loss was the price of planning in rounds, which is .1 points
since (benchmarks/README.md). On ETH-80 both were within 0.2 points.

`same_views` holds no rule but a test: whether all objects should have the same views, from captured shots alone. It is
not built into `auto`, because it cannot tell from pilots of 4 to 16 images per object (``python
benchmarks/same_views.py``; figures in benchmarks/README.md).

`Stair` and `Ell` change one axis at a time, for rigs whose change-overs are dear (``python benchmarks/factors.py
--minutes``, 20 splits of toys with histograms). At 8 images of each object they are 6.5 and 8.2 points behind the
lattice, with the same views for all objects 17 and 18. In the same time, with an elevation that is set by hand, they
are 1 to 5 points behind it; where everything is set by hand and objects are changed at once, a shared stair is 3.1 +-
1.2 points ahead of the lattice, as `even` is with 2.9 +- 1.2.
"""

from benchmarks.ideas.allocate import Allocate, ChooseObjects
from benchmarks.ideas.learned_herding import Difficulty, LearnedHerding
from benchmarks.ideas.one_factor import Ell, Stair

__all__ = ["Allocate", "ChooseObjects", "Difficulty", "Ell", "LearnedHerding", "Stair"]
