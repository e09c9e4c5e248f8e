#!/usr/bin/env bash
# Measures a machine with a GPU in less than eight minutes, with binaries built elsewhere: it needs no Rust toolchain. It prints a
# table at the end and writes all results to OUT/device.json. The most important measurements come first. One that fails or for which
# no time remains is listed, and the others continue. Without Python 3 the table has words per second only.
#
#     benches/device.sh OUT [SEL]
#
# OUT is the folder of the results; the output of each command is in OUT/device. SEL is the value of --device (default: gpu).
# The exit code is 1 if a parity test failed, 4 without a hardware GPU. Environment variables:
#
#     WLSTM           the program (default: target/release/wlstm of this repository)
#     WLSTM_CACHE     the folder of tuning results, which all measurements share (default: OUT/device/cache)
#     PARITY          the test binary `devices`; without it, there are no parity tests
#     PYTHON          a Python with PyTorch (default: python3, if it has PyTorch); without it, PyTorch is not measured
#     MODELS          the configurations of the paper to measure
#     OFF_MODELS      those in which each optimization is disabled alone
#     SET             overrides for all models, such as "train.batch=16 model.hidden=256", for devices that are too slow for the paper's
#     TORCH_SIZE      the same for PyTorch, such as "--batch 16 --hidden 256"
#     TORCH_DEVICE    the device of PyTorch (default: cuda)
#     COMPILE_JOBS    compilers of PyTorch at the same time (default: half of the processors, at most 8)
#     SECONDS_EACH    seconds of each measurement
#     DEADLINE        seconds of all measurements
#     ALLOW_SOFTWARE  1: continue without a hardware GPU
#     VOCABULARY      rows of the tables, also for PyTorch. With the sampled softmax the time of a step does not depend on it
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if (($# < 1)); then
    echo "usage: benches/device.sh OUT [SEL], with the folder of the results and a value of --device (default: gpu)" >&2
    exit 2
fi
out=$1
out=${out%/}
device=${2:-gpu}
wlstm=${WLSTM:-$root/target/release/wlstm}
python=${PYTHON:-}
seconds=${SECONDS_EACH:-3}
models=${MODELS-"lm1b-biglstm lm1b-f512 lm1b-g4 lm1b-g8"}
off_models=${OFF_MODELS-"lm1b-biglstm lm1b-g8"}
vocabulary=${VOCABULARY:-20000}
deadline=${DEADLINE:-470}
torch_device=${TORCH_DEVICE:-cuda}

# usable COMMAND VARIABLE: fails unless a command, with or without a path, can run.
usable() {
    command -v -- "$1" >/dev/null || { echo "no program $1: set $2" >&2; exit 2; }
}
usable "$wlstm" WLSTM
[[ -z ${PARITY:-} ]] || usable "$PARITY" PARITY
[[ -z $python ]] || usable "$python" PYTHON

# The script deletes only what an earlier run of it has written.
parts=$out/device
mkdir -p "$parts" || exit 2
rm -f "$out/device.json" "$parts"/*.json "$parts"/*.txt "$parts"/*.log "$parts"/*.part
: >"$parts/failed.txt"
export WLSTM_CACHE=${WLSTM_CACHE:-$parts/cache}
# No measurement runs after this second.
until=$deadline

# limited SECONDS COMMAND...: runs a command for at most this time. One that does not end on a signal is killed.
limited() {
    timeout -k 5 "$@"
}

# run NAME LIMIT COMMAND...: runs a command for at most LIMIT seconds. Its output goes to OUT/device/NAME. With less than a third of
# this time left, it is skipped.
run() {
    local name=$1 limit=$2 left=$((until - SECONDS)) code
    shift 2
    if ((left < 5 || 3 * left < limit)); then
        printf '%4d s  %s: skipped, no time left\n' "$SECONDS" "$name"
        echo "$name: no time left" >>"$parts/failed.txt"
        return 1
    fi
    ((limit > left)) && limit=$left
    printf '%4d s  %s\n' "$SECONDS" "$name"
    limited "$limit" "$@" >"$parts/$name" 2>"$parts/$name.log" && return
    code=$?
    ((code == 124)) && code="$limit s: too long"
    printf '        failed with %s: %s\n' "$code" "$(tail -n 1 "$parts/$name.log")"
    echo "$name: failed with $code" >>"$parts/failed.txt"
    # What a failed command printed is no result.
    [[ $name != *.json ]] || mv "$parts/$name" "$parts/${name%.json}.part"
    return 1
}

# step NAME LIMIT MODEL PRECISION OPTION...: measures training steps of a model, with the floors of their parts.
step() {
    local name=$1 limit=$2 model=$3 precision=$4 change overrides=()
    shift 4
    for change in "data.vocab_size=$vocabulary" "train.precision=$precision" train.batch=128 ${SET:-}; do
        overrides+=(--set "$change")
    done
    run "$name.json" "$limit" "$wlstm" bench step "$root/configs/$model.toml" "${overrides[@]}" --device "$device" --json --steps 20 \
        --seconds "$seconds" --profile "$@"
}

# torch NAME LIMIT OPTION...: measures a training step of PyTorch.
torch() {
    local name=$1 limit=$2
    shift 2
    # shellcheck disable=SC2086
    run "torch-$name.json" "$limit" "$python" "$root/benches/peers/torch_lm.py" --device "$torch_device" --vocab "$vocabulary" \
        "$@" ${TORCH_SIZE:-}
}

# cell MODEL: the options of torch_lm.py for a model.
cell() {
    case $1 in
        biglstm) echo --cell lstmp ;;
        f512) echo --cell flstm --factor 512 ;;
        g4) echo --cell glstm --groups 4 ;;
        g8) echo --cell glstm --groups 8 ;;
    esac
}

# compiled MODEL: the same for a compiled model. nn.LSTM does not compile into one graph, so its loop is written out.
compiled() {
    echo "$(cell "$1") --compile default"
    [[ $1 != biglstm ]] || echo --unrolled
}

# compilations: the options of all compiled measurements, a line for each.
compilations() {
    local model precision
    for precision in bf16 fp32; do
        for model in f512 g8 g4 biglstm; do
            # shellcheck disable=SC2046,SC2086
            echo --precision "$precision" $(compiled "$model") ${TORCH_SIZE:-}
        done
    done
}

# parity NAME TESTS: runs tests of kernels on the GPU. They fail unless at least one has passed.
parity() {
    local name=parity-$1.txt result
    run "$name" 45 env REQUIRE_GPU=1 "$PARITY" "$2" "${skipped[@]}"
    result=$(grep '^test result' "$parts/$name" 2>/dev/null) || result='no result'
    [[ $result =~ ^'test result: ok. '[1-9] ]] || failures=$((failures + 1))
    parity_results+=("\"$1\": \"$result\"")
}

# write: writes all results to one document, member by member as the commands printed them.
write() {
    local file name
    {
        printf '{\n"program": "%s",\n"set": "%s",\n"vocabulary": %d,\n"failed": [' "$version" "${SET:-}" "$vocabulary"
        sed 's/["\\]/ /g; s/.*/"&"/' "$parts/failed.txt" | paste -sd,
        printf '],\n"parity": {'
        (IFS=,; printf '%s' "${parity_results[*]:-}")
        printf '}'
        for file in "$parts"/*.json; do
            name=$(basename "$file" .json)
            [[ ! -s $file ]] || { printf ',\n"%s": ' "$name"; cat "$file"; }
        done
        printf '}\n'
    } >"$parts/device.new"
    mv "$parts/device.new" "$out/device.json"
}

failures=0
parity_results=()
version=$(limited 20 "$wlstm" --version)
if limited 60 "${python:-python3}" -c 'import torch' 2>"$parts/python.log"; then
    python=${python:-python3}
elif [[ -n $python ]]; then
    echo "$python has no PyTorch: $(tail -n 1 "$parts/python.log")" >&2
    exit 2
fi
run devices.txt 30 "$wlstm" devices
run devices.json 30 "$wlstm" devices --json
# On a machine with a GPU, software adapters would take most of the time of the parity tests. Those of the CPU run elsewhere.
skipped=(--skip ::twin --skip ::cpu --skip llvmpipe)
if ! grep -Eq '"hardware": *"(discrete|integrated|virtual)"' "$parts/devices.json"; then
    echo "no hardware GPU: see $parts/devices.txt" >&2
    [[ -n ${ALLOW_SOFTWARE:-} ]] || exit 4
    skipped=(--skip ::twin --skip ::cpu)
fi
# If the device has matrix units for f16, the parity test must cover their kernels.
units=
if grep -q '"operands": *"f16"' "$parts/devices.json"; then
    units=1
    export REQUIRE_UNITS=1
fi

# Parity. Meanwhile PyTorch compiles its models on other processors, for its cache on the disk, so that its measurements compile less.
preparing=
if [[ -n $python ]]; then
    jobs=$(($(nproc) / 2))
    ((jobs >= 1)) || jobs=1
    ((jobs <= 8)) || jobs=8
    jobs=${COMPILE_JOBS:-$jobs}
    printf '%4d s  PyTorch compiles, %d processes\n' "$SECONDS" "$jobs"
    timeout -k 5 $((deadline / 5)) xargs -P "$jobs" -L 1 "$python" "$root/benches/peers/torch_lm.py" --device "$torch_device" \
        --vocab "$vocabulary" --warmup 0 --iters 1 < <(compilations) >"$parts/prepare.log" 2>&1 &
    preparing=$!
    trap 'kill "$preparing" 2>/dev/null' EXIT
fi
if [[ -n ${PARITY:-} ]]; then
    parity matmul parity::matmul/
    parity lstm parity::lstm/
    # Errors of f32x3 against f64, for many terms.
    [[ -z $units ]] || parity accuracy accuracy::f32x3
fi
[[ -z $preparing ]] || wait "$preparing"
trap - EXIT
write

# The models in all precisions.
precisions=(mixed f32)
if [[ -n $units ]] && limited 20 "$wlstm" help configuration | grep f32x3 >/dev/null; then
    precisions+=(f32x3)
fi
for precision in "${precisions[@]}"; do
    for model in $models; do
        step "$model-$precision" 40 "$model" "$precision"
    done
done
write

# PyTorch, which leaves a fifth of the time to the rest. It has bf16, not fp16: its mask of accidental hits would overflow.
if [[ -n $python ]]; then
    until=$((deadline * 4 / 5))
    for model in biglstm f512 g4 g8; do
        for precision in fp32 bf16; do
            # shellcheck disable=SC2046,SC2086
            torch "$model-$precision" 30 --precision "$precision" $(cell "$model")
        done
    done
    for model in f512 g8 g4 biglstm; do
        for precision in bf16 fp32; do
            # shellcheck disable=SC2046,SC2086
            torch "$model-$precision-compiled" 60 --precision "$precision" $(compiled "$model")
        done
    done
    until=$deadline
    write
fi

# The products of the paper's models, in one process for each kind of form: one that takes too long prints nothing.
products() {
    run "products-$1.json" "$3" "$wlstm" bench kernels --only products --filter "$2" --device "$device" --json
}
[[ -z $units ]] || products units matmul/product_units 40
[[ -z $units ]] || products f32x3 matmul/product_f32x3 30
products vector matmul/product_vector 30
products cell lstm/cell 40
run micro.json 20 "$wlstm" bench kernels --only micro --device "$device" --json
write

# Each optimization disabled alone, those with the largest expected gains first.
known=$(limited 20 "$wlstm" bench step --help |
    awk '/^Optimizations to disable:/ { list = 1; next } list && NF { print $1 }')
[[ -n $known ]] || echo "optimizations: the help lists none" >>"$parts/failed.txt"
changes=$(printf '%s\n' units cells double-buffer pieces | grep -Fx -- "$known")
changes+=$'\n'$(grep -Fxv -- "$changes" <<<"$known")
for model in $off_models; do
    for change in $changes; do
        # With matrix units, mixed precision runs no product in registers, so two buffers have no effect there. Pieces and cells are
        # different in f32. The other optimizations do the same in both precisions, or only something in mixed precision.
        case $change,$units in
            units,) of= ;;
            double-buffer,1) of=f32 ;;
            double-buffer,* | cells,* | pieces,*) of='mixed f32' ;;
            *) of=mixed ;;
        esac
        for precision in $of; do
            step "$model-$precision-without-$change" 20 "$model" "$precision" --without "$change"
        done
    done
done
# Forms that seldom win.
products tiled matmul/product_tiled 30
products subgroup matmul/product_subgroup 20
write

printf '%4d s  done: %s\n\n' "$SECONDS" "$out/device.json"
[[ ! -s $parts/failed.txt ]] || sed 's/^/not measured: /' "$parts/failed.txt"
((${#parity_results[@]} == 0)) || printf 'parity of %s\n' "${parity_results[@]//\"/}"
table=${python:-python3}
if command -v -- "$table" >/dev/null; then
    limited 30 "$table" "$root/benches/device_table.py" --merge "$out/device.json"
else
    for file in "$parts"/*.json; do
        words=$(grep -o '"words_per_second": *[0-9]*' "$file" | head -n 1 | grep -o '[0-9]*$') || continue
        printf '%-44s%10s words/s\n' "$(basename "$file" .json)" "$words"
    done
fi
if ((failures > 0)); then
    printf '\nparity failed: see %s\n' "$parts/parity-*.txt" >&2
    exit 1
fi
