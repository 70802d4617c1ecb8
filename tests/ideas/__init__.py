"""Rules outside the package are held to the same contract as those inside."""

IDEAS = tuple(f"benchmarks.ideas:{name}" for name in ("Allocate", "ChooseObjects", "Difficulty", "LearnedHerding"))
