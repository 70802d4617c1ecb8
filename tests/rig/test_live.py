"""A live rig: every shot can be planned, none can be taken here."""

import subprocess
import sys
from pathlib import Path

import pytest

from acqplan.errors import UsageError
from acqplan.rig.spec import open_rig

EXAMPLE = Path(__file__).parents[2] / "examples" / "live.toml"


def test_every_view_of_every_object_can_be_planned() -> None:
    rig = open_rig(EXAMPLE)
    assert (rig.source.name, rig.source.space.shape, len(rig.source.objects)) == ("live", (18, 9, 3), 12)
    assert len(rig.source.shots()) == 18 * 9 * 3 * 12
    assert rig.seconds_per_shot == 0.4


def test_no_image_can_be_had() -> None:
    source = open_rig(EXAMPLE).source
    for ask in (source.capture, source.identities):
        with pytest.raises(UsageError, match="2 images asked of a live rig, which holds none; take the shots of plan"):
            ask(source.shots().take([0, 1]))


def test_opening_one_loads_neither_torch_nor_a_renderer() -> None:
    heavy = "{'torch', 'trimesh', 'embreex', 'PIL', 'scipy', 'sklearn'}"
    program = (
        "import sys; from pathlib import Path; from acqplan.rig.spec import open_rig; "
        f"open_rig(Path({str(EXAMPLE)!r})).source.shots(); print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
