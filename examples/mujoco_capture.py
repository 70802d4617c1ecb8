"""A simulated arm that is real software: MuJoCo moves it, sees through its camera, and it cannot reach everything.

    pip install mujoco
    python examples/mujoco_capture.py [FOLDER [BUDGET]]          # the campaign is a file: FOLDER/arm.db
    acqplan campaign create --rig examples/mujoco.toml --store arm.db --budget 60 && acqplan serve --store arm.db
    python examples/mujoco_capture.py http://127.0.0.1:8765      # the same campaign over HTTP

Where there is no screen, set MUJOCO_GL=egl or MUJOCO_GL=osmesa.
"""

import io
import os
import sys
from pathlib import Path

import mujoco
import numpy as np
from PIL import Image
from remote import Remote

from acqplan import Campaign, open_rig
from acqplan.errors import StoreError
from acqplan.rig.rendered import toy_shapes

TARGET, DISTANCE = np.array([0.0, 0.0, 0.05]), 0.30  # metres: what the camera looks at, and from how far
SETTLED = 2e-3  # radians a second, of any joint
SCENE = """
<mujoco><compiler angle="radian"/><option timestep="0.002"/><visual><global offwidth="192" offheight="192"/></visual>
  <default><geom contype="0" conaffinity="0"/><joint damping="8"/><position kp="120" ctrlrange="-7 7"/></default>
  <worldbody>
    <light name="left" pos="-.4 .6 1" dir=".4 -.6 -1"/><light name="right" pos="-.4 -.6 1" dir=".4 .6 -1"/>
    <geom type="plane" size="1 1 .1" rgba=".5 .5 .55 1"/>
    <body name="table"><joint name="turn" axis="0 0 1"/><geom type="cylinder" size=".09 .004" rgba=".3 .3 .3 1"/></body>
    <body pos="-.45 0 .1"><joint name="shoulder" axis="0 -1 0" range="-2 2" limited="true"/>
      <geom type="capsule" fromto="0 0 0 .25 0 0" size=".02"/>
      <body pos=".25 0 0"><joint name="elbow" axis="0 -1 0" range="-2.8 2.8" limited="true"/>
        <geom type="capsule" fromto="0 0 0 .25 0 0" size=".015"/>
        <body name="hand" pos=".25 0 0"><joint name="wrist" axis="0 -1 0" range="-3 3" limited="true"/>
          <geom type="box" size=".02 .02 .02" pos="-.02 0 0"/><site name="eye"/>
          <camera name="eye" xyaxes="0 -1 0 0 0 1" fovy="36"/></body></body></body>
  </worldbody>
  <actuator>
    <position joint="turn"/><position joint="shoulder"/><position joint="elbow"/><position joint="wrist"/>
  </actuator>
</mujoco>"""


class CaptureError(Exception):
    """Why a shot cannot be taken, and whether to try it again."""


class Arm:
    def __init__(self) -> None:
        spec, shapes = mujoco.MjSpec.from_string(SCENE), toy_shapes()
        for name, shape in shapes.items():
            vertices = 0.01 * np.asarray(shape.vertices)  # centimetres
            mesh = spec.add_mesh(name=name, uservert=vertices.ravel(), userface=np.asarray(shape.faces).ravel())
            mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
            geom = spec.body("table").add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name)
            geom.rgba, geom.mass = [0.8, 0.75, 0.7, 0.0], 0.01  # not seen before it is put on the table
            geom.quat = [0, 0, 0, 1]  # at azimuth 0 its front faces the arm
        self.model = spec.compile()
        self.objects = {name: self.model.geom(name).id for name in shapes}
        self.data, self.eye = mujoco.MjData(self.model), mujoco.Renderer(self.model, 192, 192)

    def angles(self, elevation: float) -> np.ndarray:
        """Joints of the arm that look at the object from an elevation, by damped least squares."""
        data, model, up = mujoco.MjData(self.model), self.model, np.radians(elevation)
        place = TARGET + DISTANCE * np.array([-np.cos(up), 0.0, np.sin(up)])
        data.qpos[1:] = 1.2, -1.5, -0.5
        for _ in range(200):
            mujoco.mj_forward(model, data)
            off = np.array([*(place - data.site("eye").xpos)[[0, 2]], -up - data.qpos[1:].sum()])
            if np.abs(off).max() < 1e-3:
                return data.qpos[1:].copy()
            moves = np.zeros((3, model.nv))
            mujoco.mj_jacSite(model, data, moves, None, model.site("eye").id)
            slope = np.vstack([moves[[0, 2], 1:], np.ones(3)])
            step = slope.T @ np.linalg.solve(slope @ slope.T + 1e-4 * np.eye(3), off)
            data.qpos[1:] = np.clip(data.qpos[1:] + np.clip(step, -0.2, 0.2), *model.jnt_range[1:].T)
        raise CaptureError("the arm does not reach so high", False)

    def capture(self, name: str, azimuth: float, elevation: float, lighting: str) -> tuple[bytes, dict[str, float]]:
        """Move, settle, and take an image: a PNG, and what was reached."""
        self.data.ctrl[:] = np.radians(azimuth), *self.angles(elevation)
        for geom in self.objects.values():
            self.model.geom_rgba[geom, 3] = float(geom == self.objects[name])
        self.model.light_active[:] = [lamp == lighting for lamp in ("left", "right")]
        mujoco.mj_step(self.model, self.data, 200)
        for _ in range(20):
            mujoco.mj_step(self.model, self.data, 100)
            if np.abs(self.data.qvel).max() < SETTLED:
                return self.photograph()
        raise CaptureError("the arm still trembles after 4 s", True)

    def photograph(self) -> tuple[bytes, dict[str, float]]:
        self.eye.update_scene(self.data, camera="eye")
        file = io.BytesIO()
        Image.fromarray(self.eye.render()).save(file, "PNG")
        turn, *arm = np.degrees(self.data.qpos)
        return file.getvalue(), {"azimuth": turn, "elevation": -sum(arm)}


def main(place: str, budget: int) -> None:
    store = Path(place) / "arm.db"
    try:
        token = os.environ.get("ACQPLAN_TOKEN", "")
        campaign = Remote(place, token) if place.startswith("http") else Campaign.open(store)
    except StoreError:  # there is none yet
        campaign = Campaign.create(open_rig(Path(__file__).with_name("mujoco.toml")), budget=budget, path=store)
    arm = Arm()
    while shots := campaign.ask(n=12):
        for shot in shots:
            try:
                image, reached = arm.capture(shot.object, **shot.view)
            except CaptureError as error:
                reason, retry = error.args
                campaign.fail(shot, reason=reason, retry=retry)
                continue
            campaign.tell(shot, image, reached=reached)
    print(campaign.report())


if __name__ == "__main__":
    where, count = (*sys.argv[1:], *(".", "60")[len(sys.argv) - 1 :])
    main(where, int(count))
