"""acqplan beside ROS 2: MoveIt drives the camera to the poses of a plan, the camera's topic gives the images.

acqplan recommend --rig rig.toml --budget 240 --poses poses.json   # [camera] of rig.toml: where it looks, how far
python3 ros2_loop.py && acqplan advise --rig rig.toml --captured manifest.csv
"""

import csv
import json
from pathlib import Path

import rclpy
from geometry_msgs.msg import PoseStamped
from moveit.planning import MoveItPy
from rclpy.wait_for_message import wait_for_message
from robot_parts import turntable  # yours: puts an object up and turns the table to an angle in degrees
from rosidl_runtime_py import set_message_fields
from sensor_msgs.msg import CompressedImage

rclpy.init()
node, moveit = rclpy.create_node("acqplan"), MoveItPy(node_name="acqplan_moveit")
arm, goal = moveit.get_planning_component("arm"), PoseStamped()
goal.header.frame_id = "table"  # origin and axes as [camera] of rig.toml has them
shots = json.loads(Path("poses.json").read_text())["shots"]  # in an order that is quick to drive
with Path("manifest.csv").open("a", newline="", buffering=1) as file:
    manifest = csv.writer(file)
    if not file.tell():
        manifest.writerow(["image", "label", "object", *shots[0]["view"]])
    for shot in shots:
        image = Path(f"{shot['shot']}.jpg")
        if image.exists():
            continue  # the script was stopped and started again
        turntable(shot["object"], shot["turntable"])
        set_message_fields(goal.pose, shot["pose_in_stand"])  # the optical frame: x right, y down, z forward
        arm.set_start_state_to_current_state()
        arm.set_goal_state(pose_stamped_msg=goal, pose_link="camera_optical_frame")
        if not (way := arm.plan()):
            continue  # out of reach: the next recommend --captured plans around what is missing
        moveit.execute(way.trajectory, controllers=[])
        seen, message = wait_for_message(CompressedImage, node, "/camera/image_raw/compressed", time_to_wait=5.0)
        if seen:
            image.write_bytes(bytes(message.data))
            manifest.writerow([image, shot["label"], shot["object"], *shot["view"].values()])
