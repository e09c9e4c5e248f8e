#!/usr/bin/env python3
"""Compares wlstm with its peers on this machine: words per second and their ratios.

PyTorch runs eagerly and, with --compile, compiled as well (torch.compile in this mode). The faster of the two is the peer. The compiled
lstmp is the one whose time loop is written in Python: nn.LSTM does not compile into one graph. On two cores of an EPYC it was 1.07 to
1.19 times as fast as eager nn.LSTM in four rounds, and compiled nn.LSTM 1.02 and 1.12 times in two. The plain LSTM has no projection:
there, nn.LSTM is compiled.

    python3 benches/peers.py                                     # PyTorch and wlstm on the CPU
    python3 benches/peers.py --cell "glstm 8" --rounds 1         # one cell
    python3 benches/peers.py --burn benches/peers/burn_lstm/target/release/burn_lstm
    python3 benches/peers.py --device cuda --gpu gpu:nvidia --precision fp32

Needs `cargo build --release` before, PyTorch in the Python that runs this script (or in --python), and for Burn
`cargo build --release` in benches/peers/burn_lstm. A peer that is not installed is skipped with a message. The programs of a row
run in turn, --rounds times each, so that other load of the machine affects all. The medians are compared.
"""
import argparse, contextlib, json, os, pathlib, platform, re, signal, statistics, subprocess, sys

HERE = pathlib.Path(__file__).resolve().parent
CELLS = [
    ("lstmp", ["--cell", "lstmp"], ["model.cell=lstmp"]),
    ("flstm r=128", ["--cell", "flstm", "--factor", "128"], ["model.cell=flstm", "model.factor=128"]),
    ("glstm 2", ["--cell", "glstm", "--groups", "2"], ["model.groups=2"]),
    ("glstm 4", ["--cell", "glstm", "--groups", "4"], ["model.groups=4"]),
    ("glstm 8", ["--cell", "glstm", "--groups", "8"], ["model.groups=8"]),
]
BENCH = "--emb 256 --proj 256 --hidden 1024 --layers 2 --batch 64 --steps 20 --vocab 33278 --sampled 2048".split()
# Seconds of a run. The compiler of PyTorch takes minutes on two cores.
LIMIT = 900
PLAIN = "--cell lstmp --emb 128 --proj 128 --hidden 128 --layers 2 --batch 16 --steps 20 --vocab 2000 --sampled 2000 --dropout 0".split()


def output(command):
    """Runs a command for at most LIMIT seconds. Returns its standard output and standard error."""
    # A process group, so that the compilers that PyTorch starts end as well. A new session would change how Linux divides the processor.
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=getattr(os, "setpgrp", None))
    try:
        return process.communicate(timeout=LIMIT)
    except BaseException:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        raise


def words(command):
    """The words per second in the JSON output of a command. If it fails, prints the last line of its output and returns None."""
    about = f"skipped: {' '.join(map(str, command[:3]))} ..."
    try:
        text, errors = output(command)
        return json.loads(text[text.index("{"):])["words_per_second"]
    except OSError as error:
        print(f"skipped: {error}", file=sys.stderr)
    except subprocess.TimeoutExpired:
        print(f"{about}: no result within {LIMIT} s", file=sys.stderr)
    except (ValueError, KeyError):
        last = (errors.strip() or text.strip() or "nothing was printed").splitlines()[-1]
        print(f"{about}: {last}", file=sys.stderr)
    return None


def compiled(mode, options):
    """The options of the compiled PyTorch, for a model with these options."""
    return ["--compile", mode, *(["--unrolled"] if "lstmp" in options and options != PLAIN else [])]


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
    p.add_argument("--precision", default="fp32", choices=["fp32", "tf32", "bf16", "fp16"],
                   help="precision of PyTorch. wlstm computes in mixed precision beside bf16 and fp16, in f32 beside fp32 and tf32")
    p.add_argument("--compile", default="default", metavar="MODE", help="mode of the compiled PyTorch; none: only eager")
    p.add_argument("--cell", action="append", choices=[name for name, _, _ in CELLS], help="only this cell, and no plain LSTM")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--json", type=pathlib.Path, help="also write the numbers to this file")
    a = p.parse_args()
    precision = "mixed" if a.precision in ("bf16", "fp16") else "f32"
    print(f"PyTorch computes in {a.precision}, wlstm in {precision}")

    def ours(config, changes, device, precision="f32"):
        changes = [*changes, "train.precision=" + precision]
        changes = [part for change in changes for part in ("--set", change)]
        return [a.wlstm, "bench", "step", config, *changes, "--device", device, "--json", "--quiet", "--seconds", 4]

    torch = [a.python, a.torch, "--device", a.device, "--precision", a.precision, "--iters", 6, "--warmup", 2]
    modes = ["eager"] if a.compile == "none" else ["eager", "compiled"]

    def measured(ours, peer):
        """One row: wlstm and PyTorch in both modes. Adds which mode is the peer."""
        options = {"eager": [], "compiled": compiled(a.compile, peer)}
        commands = {"wlstm": ours} | {mode: [*torch, *peer, *options[mode]] for mode in modes}
        row = in_turn(commands, a.rounds)
        row["peer"] = max((mode for mode in modes if row[mode]), key=row.get, default=None)
        return row

    results = {"versions": versions(a), "precision": {"wlstm": precision, "pytorch": a.precision}, "compile": a.compile,
               "rounds": a.rounds, "cells": {}, "plain": {}}
    print(f"{'bench model, words/s':<24}{'wlstm':>12}{'eager':>12}{'compiled':>12}{'ratio':>8}")
    for name, options, changes in CELLS:
        if a.cell and name not in a.cell:
            continue
        row = measured(ours(HERE.parent / "configs/bench.toml", changes, a.gpu, precision), [*BENCH, *options])
        results["cells"][name] = row
        store(a.json, results)
        show(name, row, ["eager", "compiled"])
    cells = {name: row["wlstm"] for name, row in results["cells"].items()}
    for name in ["glstm 8", "flstm r=128"]:
        if cells.get(name) and cells.get("lstmp"):
            print(f"{name} over lstmp: {cells[name] / cells['lstmp']:.2f}")

    if not a.cell:
        plain = HERE / "plain.toml"
        print(f"\n{'plain LSTM, words/s':<24}{'wlstm':>12}{'eager':>12}{'compiled':>12}{'ratio':>8}")
        row = results["plain"]["PyTorch, " + a.device] = measured(ours(plain, [], a.gpu, precision), PLAIN)
        store(a.json, results)
        show("PyTorch, " + a.device, row, ["eager", "compiled"])
        if a.burn:
            pairs = {"Burn ndarray, cpu": ("cpu", "ndarray", 20), "Burn wgpu, gpu": (a.wgpu, "wgpu", 5)}
            print(f"\n{'plain LSTM, words/s':<24}{'wlstm':>12}{'Burn':>12}{'ratio':>8}")
            for name, (device, backend, steps) in pairs.items():
                commands = {"wlstm": ours(plain, [], device), "burn": [a.burn, backend, 128, 2000, 16, 20, steps]}
                row = results["plain"][name] = in_turn(commands, a.rounds) | {"peer": "burn"}
                store(a.json, results)
                show(name, row, ["burn"])


def store(path, results):
    """Writes the results so far to a file, if there is one."""
    if path:
        new = path.with_name(path.name + ".new")
        new.write_text(json.dumps(results, indent=2) + "\n")
        new.replace(path)


def first_line(*command):
    """The first line that a command prints, or None."""
    try:
        text, _ = output(command)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return text.strip().split("\n")[0] or None


def processor():
    """The name of the CPU's model."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        # Not all processors have it, such as those of ARM.
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def versions(a):
    """The versions of the programs and the machine."""
    found = {
        "machine": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "wlstm": first_line(a.wlstm, "--version"),
        "commit": first_line("git", "-C", HERE, "describe", "--always", "--abbrev=12", "--dirty"),
        "pytorch": first_line(a.python, "-c", "import torch; print(torch.__version__)"),
    }
    if getattr(a, "burn", None):
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
