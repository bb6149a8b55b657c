#!/usr/bin/env bash
# All that is to be measured on a GPU, in one go of under five minutes; writes one report.
#
#     benchmarks/gpu.sh                 # writes gpu.md
#     GRU4REC_DATA=logs benchmarks/gpu.sh report.md
#     DEVICE=cpu SECONDS_EACH=1 benchmarks/gpu.sh    # to see that it runs, where there is no GPU
#
# Needs torch for CUDA and the other core packages; with pytest and hypothesis it also runs the tests
# for a GPU. No network, no install. Without real logs a generated one is trained on.
set -uo pipefail
cd "$(dirname "$0")/.."
report=$(realpath -m "${1-gpu.md}")
device=${DEVICE-cuda}
each=${SECONDS_EACH-2}
data=${GRU4REC_DATA-$PWD/../shared/data}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1

say() { printf '%s\n' "$@" | tee -a "$report"; }

# Runs a command, at most so many seconds, and says what it printed last and how long it took.
timed() {
    local title=$1 limit=$2 lines=$3 began=$EPOCHREALTIME rc=0
    shift 3
    timeout "$limit" "$@" >"$work/out" 2>&1 || rc=$?
    say "" "### $title: $(python -c "print(f'{$EPOCHREALTIME - $began:.1f}')") s$([ $rc = 0 ] || echo ", exit $rc")" ""
    tail -n "$lines" "$work/out" | tee -a "$report"
}

: >"$report"
say "# On $(python -c "
import torch
print(torch.cuda.get_device_name() if '$device' == 'cuda' else 'a CPU', '· torch', torch.__version__)")"

sizes=--grid
[ "$device" = cuda ] || sizes=--runs=1
timed "Speed of training" 150 20 python benchmarks/bench_training.py --device "$device" $sizes \
    --seconds "$each"
timed "Speed of evaluation" 60 6 python benchmarks/bench_evaluation.py --device "$device"

for log in yoochoose1_64 diginetica; do
    clicks=$data/$log.parquet
    train="split = 'train'" test="split = 'test'"
    if [ ! -e "$clicks" ]; then
        log="a generated log" clicks=$work/generated.parquet
        [ -e "$clicks" ] && continue
        python -c "
import gru4rec as g4r, polars as pl
log = g4r.generate_clicks(sessions=90_000, items=17_000, categories=300)
late = pl.col('session_id') >= pl.col('session_id').quantile(.9)
log.with_columns(split=pl.when(late).then(pl.lit('test')).otherwise(pl.lit('train'))).write_parquet('$clicks')"
    fi
    timed "gru4rec train, $log" 60 8 python -m gru4rec train "$clicks" --where "$train" \
        -o "$work/model" --force --device "$device"
    timed "the same without repeats" 60 6 python -m gru4rec train "$clicks" --where "$train" \
        -o "$work/plain" --force --no-repeats --device "$device"
    timed "gru4rec evaluate, $log" 60 12 python -m gru4rec evaluate "$work/model" "$clicks" \
        --where "$test" -k 20 --device "$device"
done

if python -c "import pytest, hypothesis" 2>/dev/null; then
    timed "Tests for a GPU" 120 15 python -m pytest -m gpu -n 0 -q -p no:cacheprovider tests
fi
say "" "Written to $report"
