#!/usr/bin/env python3
"""Measures how much of their speed wlstm and PyTorch keep on a CPU that other processes use.

    python3 benches/shared.py                        # beside one and two busy processes
    python3 benches/shared.py --busy 1 4 --cell "glstm 8" --rounds 5

Needs `cargo build --release` before, and PyTorch in the Python that runs this script (or in --python); without it, only wlstm is
measured. The script starts the busy processes, in its own session, so that the scheduler treats them as it treats the measured
programs, and ends them. The programs run alternately, --rounds times each, and the medians are compared.
"""
import argparse, contextlib, pathlib, statistics, subprocess, sys

import peers

BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(1000000): pass"


@contextlib.contextmanager
def busy(count):
    """Runs `count` processes that each keep a core busy. They also end when this process does."""
    started = []
    try:
        for _ in range(count):
            started.append(subprocess.Popen([sys.executable, "-c", BUSY]))
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--wlstm", default=peers.HERE.parent / "target/release/wlstm")
    p.add_argument("--python", default=sys.executable, help="a Python with PyTorch")
    p.add_argument("--torch", default=peers.HERE / "peers/torch_lm.py", help="the program of the PyTorch peer")
    p.add_argument("--cell", default="glstm 8", choices=[name for name, *_ in peers.CELLS])
    p.add_argument("--busy", type=int, nargs="+", default=[1, 2], help="numbers of busy processes")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--json", type=pathlib.Path, help="also write the numbers to this file")
    a = p.parse_args()

    options, changes = next((options, changes) for name, options, changes in peers.CELLS if name == a.cell)
    changes = [part for change in changes for part in ("--set", change)]
    config = peers.HERE.parent / "configs/bench.toml"
    torch = [a.python, a.torch, "--iters", 6, "--warmup", 2, *peers.BENCH, *options]
    commands = {
        "wlstm": [a.wlstm, "bench", "step", config, *changes, "--device", "cpu", "--json", "--quiet", "--seconds", 4],
        "PyTorch, eager": torch,
        "PyTorch, compiled": [*torch, *peers.compiled("default", options)],
    }
    counts = [0, *a.busy]
    results = {"cell": a.cell, "rounds": a.rounds, "versions": peers.versions(a), "programs": {}}
    found = {name: {count: [] for count in counts} for name in commands}
    for _ in range(a.rounds):
        for name, command in commands.items():
            for count in counts:
                if found[name] is None:
                    continue
                with busy(count):
                    value = peers.words(command)
                if value is None:
                    found[name] = None
                else:
                    found[name][count].append(value)
        for name, values in found.items():
            results["programs"][name] = values and {count: figures(values, count) for count in counts}
        peers.store(a.json, results)
    cores = results["versions"]["cores"]
    print(f"{a.cell}, {cores} cores of {results['versions']['machine']}")
    print(f"{'words/s':<20}{'alone':>10}" + "".join(f"{f'beside {count}':>12}{'kept':>8}" for count in a.busy))
    for name, by_count in results["programs"].items():
        if by_count:
            shares = "".join(f"{by_count[count]['words_per_second']:>12,.0f}{by_count[count]['kept']:>8.0%}" for count in a.busy)
            print(f"{name:<20}{by_count[0]['words_per_second']:>10,.0f}{shares}")


def figures(values, count):
    """The figures beside `count` busy processes: the median, its share of the speed alone, and the value of each round."""
    median = statistics.median(values[count])
    return {"words_per_second": median, "kept": median / statistics.median(values[0]), "of_rounds": values[count]}


if __name__ == "__main__":
    main()
