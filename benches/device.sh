#!/usr/bin/env bash
# Runs all measurements of a machine with a GPU in less than eight minutes, from binaries built elsewhere: it needs no Rust toolchain.
# It prints a table at the end and writes all results to OUT/device.json. A measurement that fails is reported, and the others
# continue. Those for which no time remains are listed. If Python 3 is missing, the table has words per second only.
#
#     benches/device.sh OUT [SEL]
#
# OUT is the folder of the results. SEL is the value of --device (default: gpu). Environment variables:
#
#     WLSTM           the program (default: target/release/wlstm)
#     PARITY          the test binary `devices`; without it, the parity test is skipped
#     PYTHON          a Python with PyTorch (default: python3, if it has PyTorch); without it, PyTorch is not measured
#     MODELS          the configurations of the paper to measure
#     OFF_MODELS      those in which each change is switched off alone
#     SET             overrides for all models, such as "train.batch=16 model.hidden=256", for devices that are too slow for the paper's
#     TORCH_SIZE      the same for PyTorch, such as "--batch 16 --hidden 256"
#     TORCH_DEVICE    the device of PyTorch (default: cuda)
#     SECONDS_EACH    seconds of each measurement
#     DEADLINE        seconds of all measurements
#     ALLOW_SOFTWARE  1: continue without a hardware GPU
#     VOCABULARY      rows of the tables, also for PyTorch. With the sampled softmax the time of a step does not depend on it
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:?"usage: benches/device.sh OUT [SEL]"}
device=${2:-gpu}
wlstm=${WLSTM:-target/release/wlstm}
seconds=${SECONDS_EACH:-3}
models=${MODELS-"lm1b-biglstm lm1b-f512 lm1b-g4 lm1b-g8"}
off_models=${OFF_MODELS-"lm1b-biglstm lm1b-g8"}
vocabulary=${VOCABULARY:-20000}
deadline=${DEADLINE:-470}
torch_device=${TORCH_DEVICE:-cuda}
mkdir -p "$out"
rm -f "$out"/*.json "$out"/failed.txt
: >"$out/failed.txt"

# run NAME LIMIT COMMAND...: runs a command for at most LIMIT seconds. Its output goes to $out/NAME.
run() {
    local name=$1 limit=$2 left=$((deadline - SECONDS)) code
    shift 2
    if ((left < 5)); then
        printf '%4d s  %s: skipped, no time left\n' "$SECONDS" "$name"
        echo "$name: no time left" >>"$out/failed.txt"
        return
    fi
    ((limit > left)) && limit=$left
    printf '%4d s  %s\n' "$SECONDS" "$name"
    timeout "$limit" "$@" >"$out/$name" 2>"$out/$name.log" && return
    code=$?
    ((code == 124)) && code="$limit s: too long"
    printf '        failed with %s: %s\n' "$code" "$(tail -n 1 "$out/$name.log")"
    echo "$name: failed with $code" >>"$out/failed.txt"
    # What a failed command printed is no result.
    [[ $name != *.json ]] || mv "$out/$name" "$out/${name%.json}.part"
}

# step NAME LIMIT MODEL PRECISION OPTION...: measures training steps of a model.
step() {
    local name=$1 limit=$2 model=$3 precision=$4 change changes=()
    shift 4
    for change in "data.vocab_size=$vocabulary" "train.precision=$precision" train.batch=128 ${SET:-}; do
        changes+=(--set "$change")
    done
    run "$name.json" "$limit" "$wlstm" bench step "configs/$model.toml" "${changes[@]}" --device "$device" --json --steps 20 \
        --seconds "$seconds" "$@"
}

# torch NAME PRECISION OPTION...: measures a training step of PyTorch.
torch() {
    local name=$1 precision=$2
    shift 2
    [[ -n $python ]] || return
    # The script has bf16, not fp16: its mask of accidental hits would overflow.
    run "torch-$name.json" 60 "$python" benches/peers/torch_lm.py --device "$torch_device" --vocab "$vocabulary" \
        --precision "$precision" "$@" ${TORCH_SIZE:-}
}

[[ -x $wlstm ]] || { echo "no program $wlstm: set WLSTM" >&2; exit 2; }
python=${PYTHON:-}
if [[ -z $python ]] && python3 -c 'import torch' 2>"$out/python.log"; then
    python=python3
fi
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
if [[ -n ${PARITY:-} ]]; then
    run parity-matmul.txt 45 env REQUIRE_GPU=1 "$PARITY" parity::matmul/
    run parity-lstm.txt 45 env REQUIRE_GPU=1 "$PARITY" parity::lstm/
fi
run products.json 90 "$wlstm" bench kernels --only products --device "$device" --json
run micro.json 20 "$wlstm" bench kernels --only micro --device "$device" --json

# The models in all precisions that the program has, with the floors of their parts. Mixed precision first: the next part needs it.
precisions=(mixed f32)
if "$wlstm" help configuration | grep -q f32x3; then
    precisions+=(f32x3)
fi
for precision in "${precisions[@]}"; do
    for model in $models; do
        step "$model-$precision" 40 "$model" "$precision" --profile
    done
done
# Each change switched off alone.
changes=$("$wlstm" bench step --help | awk '/^Changes to switch off:/ { list = 1; next } list && NF { print $1 }')
for model in $off_models; do
    for change in $changes; do
        # With a profile, as above: the measurement of peaks warms the device up.
        step "$model-mixed-without-$change" 20 "$model" mixed --profile --without "$change"
    done
done
torch biglstm-fp32 fp32 --cell lstmp
torch biglstm-bf16 bf16 --cell lstmp
torch g8-bf16 bf16 --cell glstm --groups 8
torch f512-bf16 bf16 --cell flstm --factor 512
torch g8-bf16-compiled bf16 --cell glstm --groups 8 --compile default
torch f512-bf16-compiled bf16 --cell flstm --factor 512 --compile default
# If time remains.
torch g4-bf16 bf16 --cell glstm --groups 4
torch g4-bf16-compiled bf16 --cell glstm --groups 4 --compile default
torch g8-fp32 fp32 --cell glstm --groups 8
torch f512-fp32 fp32 --cell flstm --factor 512

# All results in one document, member by member as the commands printed them.
{
    printf '{\n"vocabulary": %d,\n"failed": [' "$vocabulary"
    sed 's/["\\]/ /g; s/.*/"&"/' "$out/failed.txt" | paste -sd,
    printf ']'
    for file in "$out"/*.json; do
        name=$(basename "$file" .json)
        [[ $name == device || ! -s $file ]] || { printf ',\n"%s": ' "$name"; cat "$file"; }
    done
    printf '}\n'
} >"$out/device.json.new"
mv "$out/device.json.new" "$out/device.json"
printf '%4d s  done: %s\n\n' "$SECONDS" "$out/device.json"
[[ ! -s $out/failed.txt ]] || sed 's/^/not measured: /' "$out/failed.txt"
for file in "$out"/parity-*.txt; do
    [[ ! -f $file ]] || printf '%s: %s\n' "$(basename "$file" .txt)" "$(grep '^test result' "$file" || echo 'no result')"
done
if command -v "${python:-python3}" >/dev/null; then
    "${python:-python3}" benches/device_table.py "$out/device.json"
else
    for file in "$out"/*.json; do
        words=$(grep -o '"words_per_second": *[0-9]*' "$file" | head -n 1 | grep -o '[0-9]*$') || continue
        [[ $file == */device.json ]] || printf '%-44s%10s words/s\n' "$(basename "$file" .json)" "$words"
    done
fi
