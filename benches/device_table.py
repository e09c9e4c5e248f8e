#!/usr/bin/env python3
"""Prints the results of benches/device.sh as short tables: python3 benches/device_table.py OUT/device.json

With --merge it first joins the kernels in the file, which device.sh measures in several processes, in one member `kernels`, as
`wlstm bench kernels` prints it.
"""
import json, os, sys

MODELS = ["biglstm", "f512", "g4", "g8"]
PRECISIONS = ["f32", "f32x3", "mixed"]


def merge(found):
    """Replaces the members with kernels by one, in which each product has the forms of all of them."""
    measured = [found.pop(name) for name in list(found) if name == "micro" or name.startswith("products-")]
    if not measured:
        return
    products = {}
    for product in (product for one in measured for product in one["products"]):
        product = dict(product)
        forms = product.pop("forms")
        # Pieces can differ between a product and a cell that computes it, not between forms.
        products.setdefault(json.dumps([product["shape"], product["precision"]]), product).setdefault("forms", []).extend(forms)
    for product in products.values():
        shortest = min(form["seconds"] for form in product["forms"])
        for form in product["forms"]:
            form["is_fastest"] = form["seconds"] == shortest
    micro = [one for one in measured if one["micro"]] or measured
    found["kernels"] = micro[0] | {"products": list(products.values())}


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
    heading("words per second, and the ratio to the faster of PyTorch eager and compiled")
    print(f"{'model':<10}{'precision':<10}{'wlstm':>10}{'ms':>9}{'floor':>8}{'over floor':>12}{'eager':>10}{'compiled':>10}{'ratio':>7}")
    incomplete = False
    for model in MODELS:
        for precision, peer in [("f32", "fp32"), ("f32x3", "fp32"), ("mixed", "bf16")]:
            step = found.get(f"lm1b-{model}-{precision}")
            if step is None:
                continue
            peers = torch(found, model, peer)
            best = max([value for value in peers if value], default=None)
            mark = "*" if best and None in peers else ""
            incomplete |= mark == "*"
            milliseconds = lambda seconds: number(seconds and seconds * 1e3, "{:.2f}")
            print(f"{model:<10}{precision:<10}{step['words_per_second']:>10,.0f}{milliseconds(step['seconds_per_step']):>9}"
                  f"{milliseconds(step['floor_seconds']):>8}{number(step['times_floor'], '{:.2f}'):>12}"
                  + "".join(f"{number(value):>10}" for value in peers) + f"{ratio(step['words_per_second'], best):>7}{mark}")
    if incomplete:
        print("* PyTorch was measured in one of the two modes only")


def parts(found):
    for model in MODELS:
        steps = {p: found[f"lm1b-{model}-{p}"] for p in PRECISIONS if f"lm1b-{model}-{p}" in found}
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


def optimizations(found):
    """The speed of each step over that with one optimization disabled."""
    rows = {}
    for name in found:
        step, dash, disabled = name.partition("-without-")
        if dash:
            rows.setdefault(disabled, {})[step] = ratio(speed(found, step), speed(found, name))
    if not rows:
        return
    columns = sorted({step for row in rows.values() for step in row})
    width = max(len(step) for step in columns) - len("lm1b-") + 3
    heading("speed with each optimization over the speed without it")
    print(f"{'optimization':<16}" + "".join(f"{step.removeprefix('lm1b-'):>{width}}" for step in columns))
    for disabled, row in rows.items():
        print(f"{disabled:<16}" + "".join(f"{row.get(step, ''):>{width}}" for step in columns))


def products(found):
    measured = found.get("kernels", {}).get("products", [])
    if measured:
        reduced = ", at reduced sizes" if any(product["reduced"] for product in measured) else ""
        heading(f"products: fastest form, TFLOP/s, share of peak{reduced}")
    for product in sorted(measured, key=lambda product: PRECISIONS.index(product["precision"])):
        best = min(product["forms"], key=lambda form: form["seconds"])
        print(f"{product['shape']:<32}{product['precision']:<7}{best['kernel']:<52}{best['flops_per_second'] / 1e12:>8.2f}"
              f"{best['share_of_peak'] * 100:>6.0f} %{product['pieces']:>4} pieces")


def micro(found):
    measured = found.get("kernels", {})
    if not measured.get("micro"):
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
    path = sys.argv[-1]
    with open(path) as file:
        found = json.load(file)
    merge(found)
    if "--merge" in sys.argv[1:-1]:
        with open(path + ".new", "w") as file:
            json.dump(found, file, indent=1)
            file.write("\n")
        os.replace(path + ".new", path)
    for adapter in found.get("devices", []):
        print(f"{adapter['name']}, {adapter['backend']}, {adapter['driver']} {adapter['driver_info']}")
    for part in (products, micro, parts, optimizations, models):
        part(found)


if __name__ == "__main__":
    main()
