"""The walls of the house: which room may import which, and where each foreign library lives."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from acqplan import Campaign
from tests.campaign.rigs import live_rig

PACKAGE = Path(__file__).parent.parent / "acqplan"
ROOMS = [
    "space",
    "rig",
    "features",
    "heads",
    "plan",
    "campaign",
    "statistics",
    "advice",
    "evaluate",
    "study",
    "exchange",
    "report",
    "service",
    "cli",
]
LEAVES = ["errors", "rng", "runtime", "files", "progress", "numbers", "table", "pool", "images"]
BLIND = {"plan", "campaign", "statistics"}
PIXELS = {"rig", "features", "heads"}
HOMES = {
    "typer": ("cli/",),
    "rich": ("cli/", "report/terminal.py"),
    "matplotlib": ("report/plot",),
    "jinja2": ("report/page.py",),
    "botorch": ("plan/bayes.py", "plan/surrogate.py"),
    "gpytorch": ("plan/bayes.py", "plan/surrogate.py"),
    "torchvision": ("features/",),
    "timm": ("features/",),
    "openvino": ("features/compiled.py",),
    "google": ("features/caffemodel.py",),
    "PIL": ("images.py", "exchange/"),
    "pillow_heif": ("images.py",),
    "trimesh": ("rig/",),
    "embreex": ("rig/",),
    "statsmodels": ("statistics/",),
    "sklearn": ("heads/", "statistics/", "study/"),
    "sqlalchemy": ("campaign/store",),
    "fastapi": ("service/",),
    "dask": ("evaluate/benchmark.py", "features/devices.py"),
    "distributed": ("evaluate/benchmark.py", "features/devices.py"),
    "pydantic": ("rig/toml_file.py", "service/"),
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted names that a module imports, at its top or inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def room(dotted: str) -> str:
    parts = dotted.split(".")
    return parts[1] if parts[0] == "acqplan" and len(parts) > 1 else ""


SAVING = {("evaluate/recommend.py", "report"), ("evaluate/findings.py", "report"), ("rig/spec.py", "exchange")}
"""The doors back: results save themselves; a folder without a rig.toml is a rig as far as it says so."""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if here == "__init__":
        return
    rooms = {room(name) for name in imported(path)} & set(ROOMS)
    if here in LEAVES:
        assert not rooms, f"a leaf imports {rooms}"
        return
    where = path.relative_to(PACKAGE).as_posix()
    later = {name for name in rooms if ROOMS.index(name) > ROOMS.index(here) and (where, name) not in SAVING}
    assert not later, f"{here} imports the later {later}"
    if here in BLIND:
        assert not rooms & PIXELS, f"planning sees pixels through {rooms & PIXELS}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_foreign_library_has_one_home(path: Path) -> None:
    here = path.relative_to(PACKAGE).as_posix()
    for name in imported(path):
        homes = HOMES.get(name.split(".")[0])
        assert homes is None or here.startswith(homes), f"{here} imports {name}, whose home is {homes}"
        if name.startswith("scipy.stats") and not name.startswith("scipy.stats.qmc"):
            assert here.startswith(("statistics/", "advice/")), f"{here} imports {name}, whose home is statistics/"


LARGEST_FILE = 600
"""Lines; a file is one thought."""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_one_thought(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LARGEST_FILE


def test_one_name_is_one_class() -> None:
    homes: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(path.relative_to(PACKAGE).as_posix())
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


def loaded_by(*arguments: str) -> set[str]:
    """Top-level modules loaded after running ``python -c`` or ``-m`` with these arguments."""
    code = (
        "import sys, runpy\n"
        f"sys.argv = {['acqplan', *arguments]!r}\n"
        "try:\n"
        "    from acqplan.cli.app import main\n"
        "    main()\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code, stop.code\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in ("recommend", "benchmark", "compare"))]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    heavy = {"torch", "torchvision", "matplotlib", "scipy", "sklearn", "statsmodels", "botorch", "trimesh", "pandas"}
    assert not loaded_by(*arguments) & heavy


TELLING = [
    ["campaign", "tell", "--help"],
    ["campaign", "status", "--help"],
    ["campaign", "status", "--store", "robot.db"],
    ["campaign", "status", "--store", "robot.db", "--json"],
    ["campaign", "ask", "--store", "robot.db"],
    ["campaign", "tell", "--store", "robot.db", "--shot", "SHOT", "--image", "image.png"],
]


@pytest.mark.parametrize("arguments", TELLING, ids=" ".join)
def test_a_capture_script_waits_for_nothing_heavy(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Campaign.create(live_rig(tmp_path), budget=3, path="robot.db", caller="arm") as campaign:
        (shot,) = campaign.ask(1)
    Image.new("L", (8, 8)).save("image.png")
    loaded = loaded_by(*[shot.id if word == "SHOT" else word for word in arguments])
    assert not loaded & {"torch", "numpy", "scipy", "matplotlib", "fastapi", "trimesh"}


def test_importing_the_package_loads_no_torch() -> None:
    code = "import acqplan, sys; assert 'torch' not in sys.modules; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
