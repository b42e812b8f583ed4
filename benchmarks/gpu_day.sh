#!/bin/bash
# The row of CIFAR-10, WRN-40-1 -> WRN-16-1, on one GPU: three seeds at once, which share it.
#
#   bash benchmarks/gpu_day.sh prepare [DATA]    here: copy the files that it needs to .gpu_data, which git ignores
#   bash benchmarks/gpu_day.sh run [MINUTES]     on the GPU's machine: train, measure, and write JSON to $OUT or results
#
# `run` ends within MINUTES (default 9). Its last lines are the accuracies of the last iterates.
set -eu
cd "$(dirname "$0")/.."
case "${1:-run}" in
prepare)
    data=${2:-../shared/data}
    mkdir -p .gpu_data/models/cifar10 .gpu_data/cifar10
    cp "$data"/models/cifar10/wrn40_1_ferles_s0.* .gpu_data/models/cifar10/
    cp "$data"/cifar10/test.npz .gpu_data/cifar10/
    du -sh .gpu_data
    ;;
run)
    minutes=${2:-9}
    export PYTHONPATH=$PWD/src OMP_NUM_THREADS=4 PYTHONUNBUFFERED=1
    share=$(python3 -c "print(round(($minutes - 1) / 10, 3))")
    for seed in 0 1 2; do
        python3 benchmarks/accuracy.py --task cifar10_wrn_gpu --seeds $seed --share "$share" --data .gpu_data \
            --folder /tmp/gpu_day_$seed --results "gpu_day_$seed" > "/tmp/gpu_day_$seed.txt" 2>&1 &
    done
    wait
    tail -n 4 /tmp/gpu_day_?.txt
    if [ -n "${OUT:-}" ]; then cp benchmarks/results/gpu_day_?.json "$OUT"; fi
    ;;
esac
