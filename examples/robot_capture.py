"""A capture script that runs for days: killed at any moment and started again, it goes on where it was.

    python examples/robot_capture.py [FOLDER [BUDGET]]

The robot is the embedded virtual rig, which now and then cannot reach a pose, or takes a picture that is no good.
"""

import random
import sys
from pathlib import Path

import numpy as np

from acqplan import Campaign, Shots, open_rig
from acqplan.errors import StoreError


class CaptureError(Exception):
    def __init__(self, reason: str, **answer: bool) -> None:
        super().__init__(reason)
        self.answer = answer


class Robot:
    def __init__(self, rig) -> None:
        self.rig = rig

    def capture(self, name: str, **view) -> tuple[np.ndarray, dict[str, float]]:
        if view["elevation"] == 70 and random.random() < 0.8:
            raise CaptureError("the arm would touch the lamp", retry=False)
        if random.random() < 0.05:
            raise CaptureError("blurred", exposed=True)  # the image counts, and is taken again
        objects, space = self.rig.objects, self.rig.space
        rows, coordinates = np.array([objects.names.index(name)]), space.coordinates(view)[None]
        shot = Shots(space=space, objects=objects, object_rows=rows, coordinates=coordinates)
        [(_, image)] = self.rig.capture(shot)
        return image, {"azimuth": view["azimuth"] + random.gauss(0, 0.2)}  # where the turntable stopped


def main(folder: Path, budget: int) -> None:
    setup = open_rig()
    robot, store = Robot(setup.source), folder / "toys.db"
    try:
        campaign = Campaign.open(store)
    except StoreError:  # there is none yet
        campaign = Campaign.create(setup, budget=budget, path=store)
    while shots := campaign.ask(n=12):
        for shot in shots:
            try:
                image, reached = robot.capture(shot.object, **shot.view)
            except CaptureError as error:
                campaign.fail(shot, reason=str(error), **error.answer)
                continue
            campaign.tell(shot, image, reached=reached)
    print(campaign.report())


if __name__ == "__main__":
    where, count = (*sys.argv[1:], *(".", "120")[len(sys.argv) - 1 :])
    main(Path(where), int(count))
