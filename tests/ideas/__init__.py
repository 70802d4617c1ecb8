"""Rules outside the package are held to the same contract as those inside."""

NAMES = ("Allocate", "ChooseObjects", "Difficulty", "Ell", "LearnedHerding", "Stair")
IDEAS = tuple(f"benchmarks.ideas:{name}" for name in NAMES)
