#!/usr/bin/env bash
# Everything that a machine with a GPU should run, in one call of less than ten minutes, from binaries made elsewhere: no Rust
# toolchain is needed. What fails is written down, and the rest goes on; what time is left over for is said.
#
#     benches/device.sh OUT [SEL]
#
# OUT is a folder for the results; SEL is what --device takes (by default `gpu`). WLSTM names the program (by default
# target/release/wlstm), PARITY the binary of the parity test (left out without), PYTHON a Python with PyTorch (left out
# without). MODELS are the configurations of the paper to measure, each beside PyTorch where it has the cell; SECONDS_EACH how
# long each; DEADLINE the seconds of the whole. ALLOW_SOFTWARE=1 goes on without a GPU in hardware.
#
# VOCABULARY is the size of the tables, the same for PyTorch. With the sampled softmax the time of a step does not depend on it, and
# smaller tables than the 793,470 words of the paper are made sooner.
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

# Runs a command for at most so many seconds; its output goes to a file of the name.
run() {
    local name=$1 limit=$2 left=$((deadline - SECONDS))
    shift 2
    if ((left < 5)); then
        printf '%4d s  %s: left out, no time\n' "$SECONDS" "$name"
        return
    fi
    ((limit > left)) && limit=$left
    printf '%4d s  %s\n' "$SECONDS" "$name"
    timeout "$limit" "$@" >"$out/$name" 2>"$out/$name.log" && return
    printf '        failed with %d: %s\n' $? "$(tail -n 1 "$out/$name.log")"
}

# A training step of PyTorch: a name, then the options of the cell.
torch() {
    local name=$1 precision
    shift
    [[ -n ${PYTHON:-} ]] || return
    # In fp16 the script's mask of accidental hits is out of range.
    for precision in fp32 bf16; do
        run "torch-$name-$precision.json" 60 "$PYTHON" benches/peers/torch_lm.py --device cuda --vocab "$vocabulary" \
            --precision "$precision" "$@"
    done
}

[[ -x $wlstm ]] || { echo "no program $wlstm: set WLSTM" >&2; exit 2; }
run devices.txt 30 "$wlstm" devices
run devices.json 30 "$wlstm" devices --json
if ! grep -Eq '"hardware": *"(discrete|integrated|virtual)"' "$out/devices.json"; then
    echo "no GPU in hardware: see $out/devices.txt" >&2
    [[ -n ${ALLOW_SOFTWARE:-} ]] || exit 4
fi
# Where there are matrix units, their kernels must have run.
if grep -q '"operands"' "$out/devices.json"; then
    export REQUIRE_UNITS=1
fi
# The best adapter alone: number 0.
[[ -z ${PARITY:-} ]] || run parity.txt 90 env REQUIRE_GPU=1 "$PARITY" gpu0-
run kernels.json 45 "$wlstm" bench kernels --device "$device" --json
# What matters most first: the paper's models, by kernel. Those that do not fit the card say so.
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
