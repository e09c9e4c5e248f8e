#!/usr/bin/env bash
# Trains one model on two hosts, emulated on one machine: two network namespaces, each with a name and an address, connected by a
# pair of virtual Ethernet devices. Prints the bytes that a step sends, and the prediction of `wlstm plan`. Then kills the process on
# the second host, and resumes from the last checkpoint.
#
#     cargo build --release --features mpi && sudo benches/two_hosts.sh [CONFIG [--set SECTION.KEY=VALUE ...]]
#
# Needs Linux, root, Open MPI and iproute2. Environment variables: WLSTM is the program (default: target/release/wlstm), DEVICE the
# value of `--device` (default: cpu), STEPS the number of steps of a measurement (default: 40).
set -euo pipefail
cd "$(dirname "$0")/.."
wlstm=$(realpath "${WLSTM:-target/release/wlstm}")
config=${1:-configs/shakespeare.toml}
[ $# -gt 0 ] && shift
device=${DEVICE:-cpu}
steps=${STEPS:-40}
work=$(mktemp -d)
first=wlstm-first second=wlstm-second
trap 'ip netns del $first; ip netns del $second; rm -rf "$work"' EXIT

ip netns add $first
ip netns add $second
ip link add cable-1 netns $first type veth peer name cable-2 netns $second
for host in 1 2; do
    name=$first
    [ $host = 2 ] && name=$second
    ip -n $name address add 10.77.0.$host/24 dev cable-$host
    ip -n $name link set cable-$host up
    ip -n $name link set lo up
done

# `mpirun` starts processes on the second host with this script instead of ssh.
cat > "$work/agent" <<'AGENT'
#!/bin/sh
host=$1
shift
exec ip netns exec wlstm-second unshare -u sh -c "hostname second; $*"
AGENT
chmod +x "$work/agent"

on_first() {
    ip netns exec $first unshare -u sh -c 'hostname first; exec "$@"' sh "$@"
}

job() {
    on_first env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 RAYON_NUM_THREADS=1 mpirun \
        --mca plm_rsh_agent "$work/agent" --mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/24 \
        --mca oob_tcp_if_include 10.77.0.0/24 --mca orte_keep_fqdn_hostnames 1 \
        --host 10.77.0.1:1,10.77.0.2:1 "$wlstm" train "$config" --device "$device" --quiet "${sets[@]}" "$@"
}

sent() {
    ip netns exec $first cat /sys/class/net/cable-1/statistics/tx_bytes
}

sets=("$@")
# Start and end of a run send bytes too, so the bytes of a step come from two runs of different length.
bytes_of_run() {
    local before
    before=$(sent)
    job --out "$work/$1" --steps "$1" --set 'data.valid=[]' > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    echo $(($(sent) - before))
}
short=$(bytes_of_run "$steps")
long=$(bytes_of_run $((2 * steps)))
echo "first to second host, bytes of a step: $(((long - short) / steps))"
"$wlstm" plan "$config" --devices 2 "${sets[@]}" | grep "between machines"

echo "ending the process of the second host ..."
job --out "$work/killed" --set train.checkpoint_every=20 > "$work/log" 2>&1 &
running=$!
until ls "$work"/killed/checkpoints/*.safetensors > /dev/null 2>&1; do sleep 0.1; done
sleep 2
for process in $(ip netns pids $second); do
    if tr '\0' ' ' < "/proc/$process/cmdline" | grep -q "^$wlstm"; then kill -KILL "$process"; fi
done
code=0
wait $running || code=$?
last=$(ls "$work/killed/checkpoints" | tail -n 1)
echo "the job ended with $code; its last checkpoint is $last"
[ "$code" != 0 ]
at=$((10#$(echo "$last" | tr -dc 0-9)))
job --out "$work/killed" --set train.checkpoint_every=20 --resume --steps $((at + 20)) > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
echo "resumed to step $((at + 20)): $(ls "$work/killed/checkpoints" | tail -n 1)"
