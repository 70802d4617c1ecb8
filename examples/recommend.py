"""What `acqplan recommend --budget 2430` does, from Python."""

from acqplan import open_rig, recommend


def main() -> None:
    rig = open_rig()  # the embedded toys; open_rig("rig.toml") for your own
    result = recommend(rig, budget=2430, seed=0)
    for view, name in zip(result.plan.shots.views()[:3], result.plan.shots.names, strict=False):
        print(name, view)
    for sentence in result.sentences:
        print(sentence)
    result.save("acqplan-out")


if __name__ == "__main__":  # rendering starts processes, which import this file
    main()
