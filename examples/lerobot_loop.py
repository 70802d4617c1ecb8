"""acqplan inside a LeRobot recorder: which view of which object the arm shoots next, each shot an episode.

pip install lerobot        # written against lerobot 0.4; beside it: acqplan serve --store arm.db --host 0.0.0.0 …
"""

from lerobot.cameras.opencv.configuration_opencv import OpenCVCameraConfig
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.datasets.utils import build_dataset_frame, hw_to_dataset_features
from lerobot.robots import make_robot_from_config
from lerobot.robots.so_follower import SOFollowerRobotConfig
from PIL import Image
from remote import Remote
from robot_parts import POSES, png, turntable  # yours: joints for each elevation, a PNG's bytes, the turntable

eye = OpenCVCameraConfig(index_or_path=0, fps=30, width=640, height=480)
robot = make_robot_from_config(SOFollowerRobotConfig(port="/dev/ttyACM0", cameras={"eye": eye}))
features = hw_to_dataset_features(robot.observation_features, "observation", use_video=False)
dataset = LeRobotDataset.create("lab/objects", fps=30, features=features, use_videos=False)
campaign = Remote("http://lab:8765", token="…")  # or acqplan.Campaign.open("arm.db") on one machine

robot.connect()
while shots := campaign.ask(n=12):  # leased to this machine, in an order that is quick to drive
    for shot in shots:
        if shot.view["elevation"] not in POSES:  # what cannot be reached is said, and planned around
            campaign.fail(shot, reason="no pose for this elevation", retry=False)
            continue
        turntable(shot.object, shot.view["azimuth"])
        robot.send_action(POSES[shot.view["elevation"]])
        seen = robot.get_observation()  # after it has settled
        dataset.add_frame(build_dataset_frame(features, seen, "observation") | {"task": shot.label})
        dataset.save_episode()
        campaign.tell(shot, png(Image.fromarray(seen["eye"])))  # last, so that a shot told is a shot recorded
dataset.finalize()
print(campaign.report())
