#!/usr/bin/env python3
"""Compares wlstm with its peers on this machine: words per second and their ratios.

PyTorch runs eagerly and, with --compile, compiled as well (torch.compile in this mode). The faster of the two is the peer.

    python3 benches/peers.py                                     # PyTorch and wlstm on the CPU
    python3 benches/peers.py --cell "glstm 8" --rounds 1         # one cell
    python3 benches/peers.py --burn benches/peers/burn_lstm/target/release/burn_lstm
    python3 benches/peers.py --device cuda --gpu gpu:nvidia --precision fp32

Needs `cargo build --release` before, PyTorch in the Python that runs this script (or in --python), and for Burn
`cargo build --release` in benches/peers/burn_lstm. A peer that is not installed is skipped with a message. The programs of a row
run in turn, --rounds times each, so that other load of the machine affects all. The medians are compared.
"""
import argparse, json, pathlib, platform, re, statistics, subprocess, sys

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
    p.add_argument("--compile", default="default", metavar="MODE", help="mode of the compiled PyTorch; none: only eager")
    p.add_argument("--cell", action="append", choices=[name for name, _, _ in CELLS], help="only this cell, and no plain LSTM")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--json", type=pathlib.Path, help="also write the numbers to this file")
    a = p.parse_args()

    def ours(config, changes, device):
        changes = [part for change in changes for part in ("--set", change)]
        return [a.wlstm, "bench", "step", config, *changes, "--device", device, "--json", "--quiet", "--seconds", 4]

    torch = [a.python, a.torch, "--device", a.device, "--precision", a.precision, "--iters", 6, "--warmup", 2]
    modes = {"eager": []} if a.compile == "none" else {"eager": [], "compiled": ["--compile", a.compile]}

    def measured(ours, peer):
        """One row: wlstm and PyTorch in both modes. Adds which mode is the peer."""
        commands = {"wlstm": ours} | {mode: [*torch, *peer, *options] for mode, options in modes.items()}
        row = in_turn(commands, a.rounds)
        row["peer"] = max((mode for mode in modes if row[mode]), key=row.get, default=None)
        return row

    results = {"versions": versions(a), "compile": a.compile, "cells": {}, "plain": {}}
    print(f"{'bench model, words/s':<24}{'wlstm':>12}{'eager':>12}{'compiled':>12}{'ratio':>8}")
    for name, options, changes in CELLS:
        if a.cell and name not in a.cell:
            continue
        row = measured(ours(HERE.parent / "configs/bench.toml", changes, a.gpu), [*BENCH, *options])
        results["cells"][name] = row
        show(name, row, ["eager", "compiled"])
    cells = {name: row["wlstm"] for name, row in results["cells"].items()}
    for name in ["glstm 8", "flstm r=128"]:
        if cells.get(name) and cells.get("lstmp"):
            print(f"{name} over lstmp: {cells[name] / cells['lstmp']:.2f}")

    if not a.cell:
        plain = HERE / "plain.toml"
        print(f"\n{'plain LSTM, words/s':<24}{'wlstm':>12}{'eager':>12}{'compiled':>12}{'ratio':>8}")
        row = results["plain"]["PyTorch, " + a.device] = measured(ours(plain, [], a.gpu), PLAIN)
        show("PyTorch, " + a.device, row, ["eager", "compiled"])
        if a.burn:
            pairs = {"Burn ndarray, cpu": ("cpu", "ndarray", 20), "Burn wgpu, gpu": (a.wgpu, "wgpu", 5)}
            print(f"\n{'plain LSTM, words/s':<24}{'wlstm':>12}{'Burn':>12}{'ratio':>8}")
            for name, (device, backend, steps) in pairs.items():
                commands = {"wlstm": ours(plain, [], device), "burn": [a.burn, backend, 128, 2000, 16, 20, steps]}
                row = results["plain"][name] = in_turn(commands, a.rounds) | {"peer": "burn"}
                show(name, row, ["burn"])
    if a.json:
        a.json.write_text(json.dumps(results, indent=2) + "\n")


def versions(a):
    """The versions of the programs."""
    def first_line(*command):
        try:
            return subprocess.run([str(part) for part in command], capture_output=True, text=True).stdout.strip().split("\n")[0]
        except OSError:
            return None

    found = {"wlstm": first_line(a.wlstm, "--version"), "machine": platform.processor() or platform.machine()}
    found["pytorch"] = first_line(a.python, "-c", "import torch; print(torch.__version__)") or None
    if a.burn:
        lock = (HERE / "peers/burn_lstm/Cargo.lock").read_text()
        version = re.search(r'name = "burn"\nversion = "([^"]*)"', lock)
        found["burn"] = version and version[1]
    return found


def show(name, row, peers):
    text = lambda value: "-" if value is None else f"{value:,.0f}"
    ours, peer = row["wlstm"], row.get(row["peer"])
    ratio = f"{ours / peer:.2f}" if ours and peer else "-"
    columns = "".join(f"{text(row.get(peer)):>12}" for peer in peers)
    print(f"{name:<24}{text(ours):>12}{columns}{ratio:>8}", flush=True)


if __name__ == "__main__":
    main()
