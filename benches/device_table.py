#!/usr/bin/env python3
"""Prints the results of benches/device.sh as short tables: python3 benches/device_table.py OUT/device.json"""
import json, sys

MODELS = ["biglstm", "f512", "g4", "g8"]


def heading(text):
    print(f"\n{text}\n{'-' * len(text)}")


def number(value, text="{:,.0f}"):
    return "-" if value is None else text.format(value)


def ratio(value, other):
    return f"{value / other:.2f}" if value and other else "-"


def speed(found, name):
    return found.get(name, {}).get("words_per_second")


def torch(found, model, precision):
    """Words per second of PyTorch: eager, compiled."""
    name = f"torch-{model}-{precision}"
    return speed(found, name), speed(found, name + "-compiled")


def models(found):
    heading("words per second")
    print(f"{'model':<10}{'precision':<10}{'wlstm':>10}{'ms':>9}{'floor':>8}{'over floor':>12}{'eager':>10}{'compiled':>10}{'ratio':>7}")
    for model in MODELS:
        for precision, peer in [("f32", "fp32"), ("f32x3", "fp32"), ("mixed", "bf16")]:
            step = found.get(f"lm1b-{model}-{precision}")
            if step is None:
                continue
            eager, compiled = torch(found, model, peer)
            best = max([value for value in (eager, compiled) if value], default=None)
            print(f"{model:<10}{precision:<10}{step['words_per_second']:>10,.0f}{step['seconds_per_step'] * 1e3:>9.2f}"
                  f"{step['floor_seconds'] * 1e3:>8.2f}{step['times_floor']:>12.2f}{number(eager):>10}{number(compiled):>10}"
                  f"{ratio(step['words_per_second'], best):>7}")


def parts(found):
    for model in MODELS:
        steps = {p: found[f"lm1b-{model}-{p}"] for p in ("f32", "f32x3", "mixed") if f"lm1b-{model}-{p}" in found}
        if not steps:
            continue
        heading(f"{model}: ms and times over floor")
        print(f"{'part':<28}" + "".join(f"{precision:>16}" for precision in steps))
        groups = {p: {g["group"]: g for g in step["profile"]["groups"]} for p, step in steps.items()}
        names = [g["group"] for g in next(iter(steps.values()))["profile"]["groups"]]
        for name in names:
            cells = [groups[p].get(name) for p in steps]
            text = [f"{c['seconds'] * 1e3:.2f} {c['times_floor'] or 0:>5.1f}x" if c else "-" for c in cells]
            print(f"{name:<28}" + "".join(f"{cell:>16}" for cell in text))


def changes(found):
    rows = {}
    for name in found:
        model, dash, change = name.partition("-mixed-without-")
        if dash:
            rows.setdefault(change, {})[model] = ratio(speed(found, model + "-mixed"), speed(found, name))
    if rows:
        columns = sorted({model for row in rows.values() for model in row})
        heading("speed with each change over the speed without it, mixed")
        print(f"{'change':<16}" + "".join(f"{model:>16}" for model in columns))
        for change, row in rows.items():
            print(f"{change:<16}" + "".join(f"{row.get(model, '-'):>16}" for model in columns))


def products(found):
    measured = found.get("products", {}).get("products", [])
    if measured:
        reduced = ", at reduced sizes" if any(product["reduced"] for product in measured) else ""
        heading(f"products: fastest form, TFLOP/s, share of peak{reduced}")
    for product in measured:
        best = max(product["forms"], key=lambda form: form["flops_per_second"])
        print(f"{product['shape']:<32}{product['precision']:<7}{best['kernel']:<36}{best['flops_per_second'] / 1e12:>8.2f}"
              f"{best['share_of_peak'] * 100:>6.0f} %{product['pieces']:>4} pieces")


def micro(found):
    measured = found.get("micro")
    if measured is None:
        return
    heading("copies and short dispatches")
    for copy in measured["micro"]["copies"]:
        print(f"{copy['bytes_per_thread']:>3} bytes per thread: {copy['bytes_per_second'] / 1e9:,.0f} GB/s of {copy['bytes'] >> 20} MiB")
    for dispatch in measured["micro"]["dispatches"]:
        where = "one buffer" if dispatch["buffers"] == "one" else f"{dispatch['buffers']} buffers"
        print(f"{where}: {dispatch['seconds'] * 1e6:.2f} us per dispatch")
    peaks = measured["peaks"]
    units = peaks["unit_flops_per_second"]
    print(f"peaks: {peaks['flops_per_second'] / 1e12:.1f} TFLOP/s, {number(units and units / 1e12, '{:.0f}')} of matrix units, "
          f"{peaks['bytes_per_second'] / 1e9:,.0f} GB/s")


def main():
    with open(sys.argv[1]) as file:
        found = json.load(file)
    for adapter in found.get("devices", []):
        print(f"{adapter['name']}, {adapter['backend']}, {adapter['driver']} {adapter['driver_info']}")
    for part in (products, micro, parts, changes, models):
        part(found)


if __name__ == "__main__":
    main()
