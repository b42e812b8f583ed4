#!/bin/bash
# What a GPU is asked for once the row of gpu_day.sh is done, in order of weight: checks, round, precision, scaling.
#
#   bash benchmarks/gpu_checks.sh
#
# Each ends by itself, in about two minutes; JSON goes to benchmarks/results, and to $OUT where that is set.
set -u
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD/src PYTHONUNBUFFERED=1
for command in "check_gpu.py" "round.py --device cuda" "inputs.py --device cuda" "precision.py --task demo" "scaling.py"; do
    echo "== $command"
    timeout 150 python3 benchmarks/$command || echo "failed or ran out of time: $command"
done
if [ -n "${OUT:-}" ]; then cp benchmarks/results/*cuda*.json "$OUT"; fi
