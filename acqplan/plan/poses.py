"""A plan as poses of the camera: a JSON file that a script for ROS, MoveIt or any other arm reads without acqplan."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from scipy.spatial.transform import Rotation

from acqplan import __version__
from acqplan.files import check_free, folder, replacing
from acqplan.plan.plan import Plan, shot_identifiers, written_views
from acqplan.space import Space
from acqplan.space.sphere import FLIP, METRES, Matrices, Orbit, known_orbit

# What the file says of itself.
CONVENTIONS = {
    "frame": "right-handed, of the object, turning with the table; the camera looks at target; angles in degrees",
    "lengths": "in length_unit; where that is null, in whatever unit rig.toml has them",
    "camera_to_world": "4 x 4, row by row, to that frame from the camera: x right, y up, z backwards (OpenGL, NeRF)",
    "pose_in_object": "the same as geometry_msgs/Pose of a ROS optical frame: x right, y down, z forward (OpenCV)",
    "pose_in_stand": "likewise, in the frame before the table turned: for an arm beside a turntable",
    "turntable": "degrees to turn the table to, counter-clockwise seen from above; 0 where only the camera moves",
}
KEYS = ("acqplan", "conventions", "shots")


def check_poses(path: Path, orbit: Orbit | None, space: Space) -> Orbit:
    """Refuse to write poses, before long work.

    Raises:
        UsageError: If the rig does not say where its camera is.
        OutputError: If the file would replace one of another kind.
    """
    check_free(path.parent, [path.name], path.name, KEYS)
    return known_orbit(orbit, space)


def write_poses(path: Path, plan: Plan, orbit: Orbit | None) -> None:
    """Write the pose of each shot, in the order of the plan; see `CONVENTIONS` and `acqplan.space.sphere`.

    Lengths are metres or, where the orbit does not name its unit, as rig.toml has them.

    Raises:
        UsageError: As `check_poses`.
        OutputError: As `check_poses`, and if the file cannot be written.
    """
    orbit, shots = check_poses(path, orbit, plan.shots.space), plan.shots
    views, scale = orbit.views(shots), METRES.get(orbit.unit, 1.0)
    table = views.azimuth * (orbit.turns == "table")
    matrices, at_rest = views.camera_to_world(), replace(views, azimuth=views.azimuth - table).camera_to_world()
    for found in (matrices, at_rest):
        found[:, :3, 3] *= scale
    columns: dict[str, Sequence[object]] = {
        "order": range(len(shots)),
        "shot": shot_identifiers(shots),
        "object": shots.names,
        "label": shots.labels,
        "view": written_views(shots),
        "turntable": table.tolist(),
        "camera_to_world": matrices.tolist(),
        "pose_in_object": _ros_poses(matrices),
        "pose_in_stand": _ros_poses(at_rest),
    }
    document = {
        "acqplan": __version__,
        "conventions": CONVENTIONS,
        "length_unit": "m" if orbit.unit else None,
        "target": [scale * value for value in orbit.target],
        "up": list(orbit.up),
        "intrinsics": None if orbit.intrinsics is None else asdict(orbit.intrinsics),
        "shots": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
    }
    folder(path.parent)
    with replacing(path) as handle:
        json.dump(document, handle, indent=1, ensure_ascii=False)
        handle.write("\n")


def _ros_poses(matrices: Matrices) -> list[dict[str, Any]]:
    """Position and orientation of optical frames, as messages of ROS are filled."""
    quaternions = Rotation.from_matrix((matrices @ FLIP)[:, :3, :3]).as_quat(canonical=True).tolist()
    return [
        {"position": dict(zip("xyz", place, strict=True)), "orientation": dict(zip("xyzw", quaternion, strict=True))}
        for place, quaternion in zip(matrices[:, :3, 3].tolist(), quaternions, strict=True)
    ]
