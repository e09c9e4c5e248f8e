#!/usr/bin/env bash
# Runs all measurements of a machine with a GPU in less than ten minutes, from binaries built elsewhere: it needs no Rust toolchain.
# A measurement that fails is reported, and the others continue. Those for which no time remains are listed.
#
#     benches/device.sh OUT [SEL]
#
# OUT is the folder of the results. SEL is the value of --device (default: gpu). Environment variables:
#
#     WLSTM           the program (default: target/release/wlstm)
#     PARITY          the test binary `devices`; without it, the parity test is skipped
#     PYTHON          a Python with PyTorch; without it, PyTorch is not measured
#     MODELS          the configurations of the paper to measure, each also in PyTorch if the script has the cell
#     SECONDS_EACH    seconds of each measurement
#     DEADLINE        seconds of all measurements
#     ALLOW_SOFTWARE  1: continue without a hardware GPU
#     VOCABULARY      rows of the tables, also for PyTorch. With the sampled softmax the time of a step does not depend on it, and
#                     tables smaller than the 793,470 words of the paper are initialised faster.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:?"usage: benches/device.sh OUT [SEL]"}
device=${2:-gpu}
wlstm=${WLSTM:-target/release/wlstm}
seconds=${SECONDS_EACH:-4}
models=${MODELS-"lm1b-biglstm lm1b-f512 lm1b-g2 lm1b-g4 lm1b-g8 lm1b-g16 lm1b-g4-8"}
vocabulary=${VOCABULARY:-200000}
deadline=${DEADLINE:-570}
mkdir -p "$out"

# run NAME LIMIT COMMAND...: runs a command for at most LIMIT seconds. Its output goes to $out/NAME.
run() {
    local name=$1 limit=$2 left=$((deadline - SECONDS))
    shift 2
    if ((left < 5)); then
        printf '%4d s  %s: skipped, no time left\n' "$SECONDS" "$name"
        return
    fi
    ((limit > left)) && limit=$left
    printf '%4d s  %s\n' "$SECONDS" "$name"
    timeout "$limit" "$@" >"$out/$name" 2>"$out/$name.log" && return
    printf '        failed with %d: %s\n' $? "$(tail -n 1 "$out/$name.log")"
}

# torch NAME OPTION...: measures a training step of PyTorch with the options of a cell.
torch() {
    local name=$1 precision
    shift
    [[ -n ${PYTHON:-} ]] || return
    # Not fp16: the script's mask of accidental hits would overflow.
    for precision in fp32 bf16; do
        run "torch-$name-$precision.json" 60 "$PYTHON" benches/peers/torch_lm.py --device cuda --vocab "$vocabulary" \
            --precision "$precision" "$@"
    done
}

[[ -x $wlstm ]] || { echo "no program $wlstm: set WLSTM" >&2; exit 2; }
run devices.txt 30 "$wlstm" devices
run devices.json 30 "$wlstm" devices --json
if ! grep -Eq '"hardware": *"(discrete|integrated|virtual)"' "$out/devices.json"; then
    echo "no hardware GPU: see $out/devices.txt" >&2
    [[ -n ${ALLOW_SOFTWARE:-} ]] || exit 4
fi
# If the device has matrix units, the parity test must cover their kernels.
if grep -q '"operands"' "$out/devices.json"; then
    export REQUIRE_UNITS=1
fi
# Only the best adapter, which has number 0.
[[ -z ${PARITY:-} ]] || run parity.txt 90 env REQUIRE_GPU=1 "$PARITY" gpu0-
run kernels.json 45 "$wlstm" bench kernels --device "$device" --json
# The most important measurements first: the paper's models, by kernel. A model that does not fit into the memory fails with an error.
for model in $models; do
    for precision in f32 mixed; do
        run "$model-$precision.json" 60 "$wlstm" bench step "configs/$model.toml" --set train.batch=128 \
            --set "data.vocab_size=$vocabulary" --set "train.precision=$precision" --device "$device" --profile --json \
            --steps 10 --seconds "$seconds"
    done
    case $model in
        lm1b-biglstm) torch biglstm --cell lstmp ;;
        lm1b-f512) torch f512 --cell flstm --factor 512 ;;
        lm1b-g[248]) torch "${model#lm1b-}" --cell glstm --groups "${model#lm1b-g}" ;;
    esac
done
for cell in lstmp flstm glstm; do
    for precision in f32 mixed; do
        run "bench-$cell-$precision.json" 30 "$wlstm" bench step configs/bench.toml --set "model.cell=$cell" \
            --set "train.precision=$precision" --device "$device" --profile --json --seconds "$seconds"
    done
done
printf '%4d s  done: %s\n' "$SECONDS" "$out"
