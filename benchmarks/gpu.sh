#!/usr/bin/env bash
# The columns of a GPU, within eight minutes: extraction, exact heads, thesis grid, the main job, planning. JSON goes to
# benchmarks/results, or --out DIR. `--device cpu` runs a tenth of it, to see that it works.
set -uo pipefail
cd "$(dirname "$0")/.."
device=cuda out=benchmarks/results
while [ $# -gt 0 ]; do
  case "$1" in
    --device) device=$2 ;;
    --out) out=$2 ;;
    *) echo "usage: benchmarks/gpu.sh [--device cuda|cpu] [--out DIR]" >&2; exit 2 ;;
  esac
  shift 2
done
python=${PYTHON:-python}
failed=()
# seconds at most, and the benchmark with its options: one that takes too long or fails does not cost the others theirs
measure() {
  local most=$1 began=$SECONDS
  shift
  echo "== $* ($most s at most)"
  timeout --kill-after=5 "$most" "$python" "benchmarks/$1.py" --device "$device" --out "$out" "${@:2}" || failed+=("$1")
  echo "== $((SECONDS - began)) s"
}
if [ "$device" = cpu ]; then
  measure 60 extraction --networks toynet --seconds 0.3 --rounds 1
  measure 60 heads --subsets 2 --rounds 1 --components 128
  measure 60 thesis_grid --images 405
  measure 200 recommend --quick
  measure 60 planning_speed --sizes 1,458 5,400 --strategies lattice herding
else
  measure 150 extraction --networks toynet resnet50 vgg16 --rounds 2
  measure 60 extraction --networks resnet50 --precision bfloat16 --rounds 2 --out "$out/bfloat16"
  measure 60 heads --rounds 2 --components 128
  measure 90 thesis_grid --full
  measure 70 recommend
  measure 50 planning_speed --sizes 24,300 103,680 --strategies lattice herding
fi
if [ ${#failed[@]} -gt 0 ]; then
  echo "not measured: ${failed[*]}" >&2
  exit 1
fi
