#!/usr/bin/env python3
"""Compares wlstm with its peers on this machine: words per second and their ratios.

    python3 benches/peers.py                                     # PyTorch and wlstm on the CPU
    python3 benches/peers.py --burn benches/peers/burn_lstm/target/release/burn_lstm
    python3 benches/peers.py --device cuda --gpu gpu:nvidia --precision fp32

Needs `cargo build --release` before, PyTorch in the Python that runs this script (or in --python), and for Burn
`cargo build --release` in benches/peers/burn_lstm. A peer that is not installed is skipped with a message. The two programs of a
pair run alternately, --rounds times each, so that other load of the machine affects both. The medians are compared.
"""
import argparse, json, pathlib, statistics, subprocess, sys

HERE = pathlib.Path(__file__).resolve().parent
CELLS = [
    ("lstmp", ["--cell", "lstmp"], ["model.cell=lstmp"]),
    ("flstm r=128", ["--cell", "flstm", "--factor", "128"], ["model.cell=flstm", "model.factor=128"]),
    ("glstm 2", ["--cell", "glstm", "--groups", "2"], ["model.groups=2"]),
    ("glstm 4", ["--cell", "glstm", "--groups", "4"], ["model.groups=4"]),
    ("glstm 8", ["--cell", "glstm", "--groups", "8"], ["model.groups=8"]),
]
BENCH = "--emb 256 --proj 256 --hidden 1024 --layers 2 --batch 64 --steps 20 --vocab 33278 --sampled 2048".split()
PLAIN = "--cell lstmp --emb 128 --proj 128 --hidden 128 --layers 2 --batch 16 --steps 20 --vocab 2000 --sampled 2000 --dropout 0".split()


def words(command):
    """The words per second in the JSON output of a command. If it fails, prints the last line of its output and returns None."""
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        text = done.stdout[done.stdout.index("{"):]
        return json.loads(text)["words_per_second"]
    except OSError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return None
    except (ValueError, KeyError):
        last = (done.stderr.strip() or done.stdout.strip() or "nothing was printed").splitlines()[-1]
        print(f"skipped: {' '.join(map(str, command[:3]))} ...: {last}", file=sys.stderr)
        return None


def in_turn(commands, rounds):
    """Medians of the words per second of several commands, run alternately."""
    found = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            if found[name] is not None:
                value = words(command)
                found[name] = None if value is None else found[name] + [value]
    return {name: values and statistics.median(values) for name, values in found.items()}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--wlstm", default=HERE.parent / "target/release/wlstm")
    p.add_argument("--python", default=sys.executable, help="a Python with PyTorch")
    p.add_argument("--torch", default=HERE / "peers/torch_lm.py", help="the program of the PyTorch peer")
    p.add_argument("--burn", help="the program of the Burn peer (default: skip it)")
    p.add_argument("--device", default="cpu", help="device of PyTorch: cpu or cuda")
    p.add_argument("--gpu", default="cpu", help="--device of wlstm, for the cells")
    p.add_argument("--wgpu", default="gpu", help="--device of wlstm, beside the wgpu backend of Burn")
    p.add_argument("--precision", default="fp32", choices=["fp32", "tf32", "bf16", "fp16"], help="precision of PyTorch")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--json", type=pathlib.Path, help="also write the numbers to this file")
    a = p.parse_args()

    def ours(config, changes, device):
        changes = [part for change in changes for part in ("--set", change)]
        return [a.wlstm, "bench", "step", config, *changes, "--device", device, "--json", "--quiet", "--seconds", 4]

    torch = [a.python, a.torch, "--device", a.device, "--precision", a.precision, "--iters", 6, "--warmup", 2]
    results = {"cells": {}, "plain": {}}
    print(f"{'bench model, words/s':<24}{'wlstm':>12}{'PyTorch':>12}{'ratio':>8}")
    for name, options, changes in CELLS:
        commands = {"wlstm": ours(HERE.parent / "configs/bench.toml", changes, a.gpu), "pytorch": [*torch, *BENCH, *options]}
        both = results["cells"][name] = in_turn(commands, a.rounds)
        show(name, both["wlstm"], both["pytorch"])
    cells = {name: both["wlstm"] for name, both in results["cells"].items()}
    for name in ["glstm 8", "flstm r=128"]:
        if cells[name] and cells["lstmp"]:
            print(f"{name} over lstmp: {cells[name] / cells['lstmp']:.2f}")

    plain = HERE / "plain.toml"
    print(f"\n{'plain LSTM, words/s':<24}{'wlstm':>12}{'peer':>12}{'ratio':>8}")
    pairs = {"PyTorch, " + a.device: (a.gpu, [*torch, *PLAIN])}
    if a.burn:
        pairs["Burn ndarray, cpu"] = ("cpu", [a.burn, "ndarray", 128, 2000, 16, 20, 20])
        pairs["Burn wgpu, gpu"] = (a.wgpu, [a.burn, "wgpu", 128, 2000, 16, 20, 5])
    for name, (device, peer) in pairs.items():
        both = results["plain"][name] = in_turn({"wlstm": ours(plain, [], device), "peer": peer}, a.rounds)
        show(name, both["wlstm"], both["peer"])
    if a.json:
        a.json.write_text(json.dumps(results, indent=2) + "\n")


def show(name, ours, peer):
    text = lambda value: "-" if value is None else f"{value:,.0f}"
    ratio = f"{ours / peer:.2f}" if ours and peer else "-"
    print(f"{name:<24}{text(ours):>12}{text(peer):>12}{ratio:>8}", flush=True)


if __name__ == "__main__":
    main()
