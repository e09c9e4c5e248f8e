#!/usr/bin/env bash
# Everything that a machine with a GPU should run, in one call of less than ten minutes, from binaries made elsewhere: no Rust
# toolchain is needed. What fails is written down, and the rest goes on.
#
#     benches/device.sh OUT [SEL]
#
# OUT is a folder for the results; SEL is what --device takes (by default `gpu`). WLSTM names the program (by default
# target/release/wlstm), PARITY the binary of the parity test (left out without), PYTHON a Python with PyTorch (left out
# without). MODELS are the configurations to measure, SECONDS_EACH how long each.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:?"usage: benches/device.sh OUT [SEL]"}
device=${2:-gpu}
wlstm=${WLSTM:-target/release/wlstm}
seconds=${SECONDS_EACH:-4}
models=${MODELS-"lm1b-biglstm lm1b-f512 lm1b-g2 lm1b-g4 lm1b-g8 lm1b-g16 lm1b-g4-8"}
mkdir -p "$out"

# Runs a command for at most so many seconds; its output goes to a file of the name.
run() {
    local name=$1 limit=$2
    shift 2
    printf '%4d s  %s\n' "$SECONDS" "$name"
    timeout "$limit" "$@" >"$out/$name" 2>"$out/$name.log" && return
    printf '        failed with %d: %s\n' $? "$(tail -n 1 "$out/$name.log")"
}

[[ -x $wlstm ]] || { echo "no program $wlstm: set WLSTM" >&2; exit 2; }
run devices.txt 30 "$wlstm" devices
run devices.json 30 "$wlstm" devices --json
[[ -z ${PARITY:-} ]] || run parity.txt 120 env REQUIRE_GPU=1 "$PARITY"
run kernels.json 60 "$wlstm" bench kernels --device "$device" --json
run kernels.txt 60 "$wlstm" bench kernels --device "$device"
for precision in f32 mixed; do
    for cell in lstmp flstm glstm; do
        run "bench-$cell-$precision.json" 60 "$wlstm" bench step configs/bench.toml --set "model.cell=$cell" \
            --set "train.precision=$precision" --device "$device" --profile --json --seconds "$seconds"
    done
    for model in $models; do
        # 10 steps, or what fits in the time: models that do not fit the card say so.
        run "$model-$precision.json" 60 "$wlstm" bench step "configs/$model.toml" --set train.batch=128 \
            --set "train.precision=$precision" --device "$device" --profile --json --steps 10 --seconds "$seconds"
    done
done
if [[ -n ${PYTHON:-} ]]; then
    for options in "lstmp" "flstm --factor 512" "glstm --groups 2" "glstm --groups 4" "glstm --groups 8"; do
        for precision in fp32 fp16; do
            # shellcheck disable=SC2086 # the options are words
            run "torch-${options// /}-$precision.json" 30 "$PYTHON" benches/peers/torch_lm.py --device cuda \
                --precision "$precision" --cell $options
        done
    done
fi
printf '%4d s  done: %s\n' "$SECONDS" "$out"
