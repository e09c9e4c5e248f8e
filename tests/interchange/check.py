#!/usr/bin/env python3
"""Has PyTorch and ONNX Runtime compute with models that wlstm has trained and exported, and compares their log-probabilities.

    python3 tests/interchange/check.py target/release/wlstm

Needs torch, numpy, safetensors and onnxruntime; what is not installed is left out, unless --require names it. PyTorch loads the
files with the classes of `wlstm help interchange`, and the programs there are run. With --store, writes what the tests in
tests/devices/interchange.rs compare with.
"""
import argparse, importlib, json, math, os, random, re, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOLERANCE = 1e-5

MODELS = {
    "lstmp": ["model.cell=lstmp"],
    "lstmp without average": ["model.cell=lstmp", "train.ema=0"],
    "lstmp, three layers": ["model.cell=lstmp", "model.layers=3", "model.embedding=16", "model.projection=12"],
    "lstm": ["model.cell=lstmp", "model.projection=0"],
    "tied": ["model.cell=lstmp", "model.tied=true", "softmax.kind=full"],
    "other forget bias": ["model.cell=lstmp", "model.forget_bias=0.3"],
    "residual": ["model.cell=lstmp", "model.residual=true"],
    "flstm": ["model.cell=flstm", "model.factor=10"],
    "glstm": ["model.cell=glstm", "model.groups=[2, 4]"],
    "mixed cells": ['model.cell=["glstm", "flstm"]', "model.groups=4", "model.factor=9"],
    "all cells, residual": ['model.cell=["lstmp", "glstm", "flstm"]', "model.layers=3", "model.groups=2", "model.residual=true"],
    "glstm, other forget bias": ["model.cell=glstm", "model.groups=4", "model.forget_bias=0.3"],
    "flstm without projection, tied": [
        "model.cell=flstm", "model.projection=0", "model.embedding=32", "model.tied=true", "softmax.kind=full"
    ],
    "adaptive": ["model.cell=lstmp", "softmax.kind=adaptive", "softmax.cutoffs=[5, 11, 20]", "softmax.divide=2"],
    "adaptive, default cutoffs": ["model.cell=lstmp", "softmax.kind=adaptive"],
    "lstmp, wide projection": ["model.cell=lstmp", "model.projection=40"],
}

CONFIG = """
[model]
layers = 2
embedding = 16
hidden = 32
projection = 16
[softmax]
kind = "sampled"
samples = 8
[data]
order = "sentences"
tokens = "whitespace"
train = ["train.txt"]
vocab_size = 30
[train]
batch = 4
unroll = 5
steps = 30
ema = 0.9
learning_rate = 0.5
validate_every = 0
"""


def text(lines, seed, count=40):
    dice = random.Random(seed)
    words = [f"w{k}" for k in range(count)]
    weights = [1 / (k + 1) for k in range(count)]
    return "".join(" ".join(dice.choices(words, weights, k=dice.randint(1, 12))) + "\n" for _ in range(lines))


def run(*arguments, given=None, cwd=None):
    done = subprocess.run(arguments, input=given, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{arguments} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def ids_of(words, lines):
    """Every line between marks, by the vocabulary `word count` a line."""
    number = {line.rsplit(" ", 1)[0]: k for k, line in enumerate(words.split("\n")) if line}
    mark, unknown = number["<S>"], number["<UNK>"]
    return [[mark] + [number.get(word, unknown) for word in line.split()] + [mark] for line in lines]


def documented(what):
    """The program of `wlstm help interchange` that has this text."""
    text = open(os.path.join(HERE, "..", "..", "src", "help", "interchange.md"), encoding="utf-8").read()
    (found,) = [block for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S) if what in block]
    return found


LSTM, LAYERS = "torch.nn.LSTM(", "class Layer("


def class_for(path):
    """The documented class that loads a file."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return documented(LSTM if "lstm.bias_ih_l0" in file.keys() else LAYERS)


def with_pytorch(path, lines, is_exact=False):
    import torch

    names = {}
    exec(class_for(path), names)
    model = names["LanguageModel"](path)
    if is_exact:
        model.double()
    found = []
    with torch.no_grad():
        for ids in ids_of("\n".join(f"{word} 1" for word in model.words), lines):
            log, last = model(torch.tensor(ids[:-1])[:, None])
            found.append(sum(log[t, 0, ids[t + 1]].item() for t in range(len(ids) - 1)))
            # The state of a first part continues with the rest.
            _, state = model(torch.tensor(ids[:1])[:, None])
            if len(ids) > 2:
                rest, _ = model(torch.tensor(ids[1:-1])[:, None], state)
                assert torch.allclose(rest, log[1:], atol=1e-5), path
    return found


def with_onnx(path, lines):
    return onnx_log_probabilities(path, lambda words: ids_of(words, lines))


def onnx_log_probabilities(path, ids_of_lines):
    """The log-probability of each line. `ids_of_lines` maps the vocabulary to the ids of all lines, including marks."""
    import numpy, onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    all_ids = ids_of_lines(session.get_modelmeta().custom_metadata_map["wlstm.vocab"])
    outputs = [output.name for output in session.get_outputs()]
    states = {
        value.name: numpy.zeros((len(all_ids), value.shape[1]), numpy.float32)
        for value in session.get_inputs()
        if value.name != "word"
    }
    # All lines side by side; what a line has after its end is not counted.
    found = [0.0] * len(all_ids)
    for t in range(max(map(len, all_ids)) - 1):
        word = numpy.array([ids[min(t, len(ids) - 1)] for ids in all_ids], numpy.int64)
        results = dict(zip(outputs, session.run(outputs, {"word": word, **states})))
        states = {name: results[f"{name}.next"] for name in states}
        for k, ids in enumerate(all_ids):
            if t + 1 < len(ids):
                found[k] += float(results["log_probability"][k, ids[t + 1]])
    return found


def with_nll(path, lines):
    import numpy, onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    words = metadata["wlstm.vocab"]
    count = len(words.rstrip("\n").split("\n"))
    mark = ids_of(words, [""])[0][0]
    expected = {"model_type": "rnnlm", "sos_id": str(mark), "eos_id": str(mark), "vocab_size": str(count)}
    assert expected.items() <= metadata.items(), metadata
    described = [(v.name, v.type, v.shape) for v in [*session.get_inputs(), *session.get_outputs()]]
    assert described == [
        ("x", "tensor(int64)", ["N", "L"]), ("x_lens", "tensor(int64)", ["N"]), ("nll", "tensor(float)", ["N"])
    ], described
    all_ids = [ids[1:-1] for ids in ids_of(words, lines)]

    def nll(all_ids, padding, more):
        x = numpy.full((len(all_ids), max(map(len, all_ids)) + more), padding, numpy.int64)
        for row, ids in zip(x, all_ids):
            row[: len(ids)] = ids
        (found,) = session.run(None, {"x": x, "x_lens": numpy.array([len(ids) for ids in all_ids], numpy.int64)})
        return [-float(value) for value in found]

    found = nll(all_ids, 0, 0)
    # Neither the padding nor the other sentences matter, and a sentence may have no words.
    compare("  other padding", nll(all_ids, -1, 3), found)
    compare("  sentences alone", [nll([ids], 0, 0)[0] for ids in all_ids], found)
    compare("  no words", nll([[], []], 0, 0), nll([all_ids[0], []], count + 9, 0)[1:] * 2)
    return found


def compare(what, found, ours):
    assert len(found) == len(ours), (what, found, ours)
    worst = max(abs(x - y) for x, y in zip(found, ours))
    print(f"{what:<40} largest difference {worst:.1e}")
    if not worst <= TOLERANCE:
        sys.exit(f"{what}: {found} instead of {ours}")


def store(folder):
    """A model that PyTorch has made, and what it finds of some lines."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(1)
    words = ["<S>", "<UNK>"] + [f"w{k}" for k in range(18)]
    embedding, lstm = torch.nn.Embedding(20, 6), torch.nn.LSTM(6, 10, 2, proj_size=4)
    softmax = torch.nn.Linear(4, 20)
    modules = {"embedding": embedding, "lstm": lstm, "softmax": softmax}
    with torch.no_grad():
        for module in modules.values():
            for parameter in module.parameters():
                parameter.uniform_(-1.5, 1.5)
    tensors = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    lines = text(12, 5).split("\n")[:-1]
    found = []
    with torch.no_grad():
        for ids in ids_of("\n".join(f"{word} 1" for word in words), lines):
            out, _ = lstm(embedding(torch.tensor(ids[:-1])[:, None]))
            log = softmax(out).log_softmax(-1)
            found.append(sum(log[t, 0, ids[t + 1]].item() for t in range(len(ids) - 1)))
    save_file(tensors, os.path.join(folder, "pytorch.safetensors"))
    with open(os.path.join(folder, "vocab.txt"), "w") as file:
        file.write("".join(f"{word} {20 - k}\n" for k, word in enumerate(words)))
    with open(os.path.join(folder, "expected.json"), "w") as file:
        json.dump({"torch": torch.__version__, "lines": lines, "log_probability": found}, file, indent=1)
        file.write("\n")


def store_cells(folder):
    """A model with all cells in the names of the documented class, and the results of that class for some lines."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(2)
    words = ["<S>", "<UNK>"] + [f"w{k}" for k in range(18)]
    size, cells, rank, groups = 6, 10, 3, 2
    shapes = {
        "embedding.weight": [20, size],
        "layers.0.weight": [4 * cells, 2 * size],
        "layers.1.factor_in": [rank, 2 * size],
        "layers.1.factor_out": [4 * cells, rank],
        "layers.2.weight": [groups, 4 * cells // groups, 2 * size // groups],
        "softmax.weight": [20, size],
        "softmax.bias": [20],
    }
    for layer in range(3):
        shapes[f"layers.{layer}.bias_ih"] = shapes[f"layers.{layer}.bias_hh"] = [4 * cells]
        shapes[f"layers.{layer}.weight_hr"] = [size, cells]
    tensors = {name: torch.empty(shape).uniform_(-0.8, 0.8) for name, shape in shapes.items()}
    vocab = "".join(f"{word} {20 - k}\n" for k, word in enumerate(words))
    path = os.path.join(folder, "cells.safetensors")
    save_file(tensors, path, {"format": "pt", "wlstm.vocab": vocab, "wlstm.residual": "true"})
    lines = text(12, 5).split("\n")[:-1]
    found = {
        "torch": torch.__version__,
        "lines": lines,
        "log_probability": with_pytorch(path, lines, is_exact=True),
        "class": documented(LAYERS).split("\n"),
    }
    with open(os.path.join(folder, "cells.json"), "w") as file:
        json.dump(found, file, indent=1)
        file.write("\n")


def store_adaptive(folder):
    """Trains a model with an adaptive softmax in PyTorch for 20 steps. Stores its initial tensors, the losses, and the
    log-probabilities of some lines."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(3)
    batch, unroll, rate, clip, cutoffs, divide = 4, 5, 2.0, 0.25, [6, 15], 2.0
    words = ["<eos>", "<unk>"] + [f"w{k}" for k in range(38)]
    embedding, lstm = torch.nn.Embedding(40, 7), torch.nn.LSTM(7, 12, 2, proj_size=8)
    softmax = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 40, cutoffs, divide, head_bias=True)
    modules = {"embedding": embedding, "lstm": lstm, "softmax": softmax}
    parameters = []
    with torch.no_grad():
        for module in modules.values():
            for name, parameter in module.named_parameters():
                parameter.uniform_(-0.5, 0.5)
                # PyTorch has two biases, of which only the sum matters. Only one is trained here.
                if name.startswith("bias_hh"):
                    parameter.zero_().requires_grad_(False)
                else:
                    parameters.append(parameter)
    tensors = lambda: {
        f"{name}.{key}": value.clone() for name, module in modules.items() for key, value in module.state_dict().items()
    }
    save_file(tensors(), os.path.join(folder, "adaptive.safetensors"))
    for module in modules.values():
        module.double()
    train = text(90, 9, 38)
    number = {word: k for k, word in enumerate(words)}
    tokens = [number[word] for line in train.splitlines() for word in [*line.split(), "<eos>"]]
    length = len(tokens) // batch
    columns = torch.tensor([tokens[k * length : (k + 1) * length] for k in range(batch)]).T
    state, losses = None, []
    for step in range(20):
        rows = columns[step * unroll : (step + 1) * unroll + 1]
        assert len(rows) == unroll + 1, "the text is too short"
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        out, state = lstm(embedding(rows[:-1]), state)
        state = tuple(part.detach() for part in state)
        loss = softmax(out.flatten(0, 1), rows[1:].flatten()).loss
        loss.backward()
        losses.append(loss.item())
        norm = torch.sqrt(sum((parameter.grad**2).sum() for parameter in parameters)).item()
        with torch.no_grad():
            for parameter in parameters:
                parameter -= rate * min(1.0, clip / norm) * parameter.grad
    lines = text(12, 5, 38).split("\n")[:-1]
    found = []
    with torch.no_grad():
        for line in lines:
            ids = [number[word] for word in ["<eos>", *line.split(), "<eos>"]]
            out, _ = lstm(embedding(torch.tensor(ids[:-1])[:, None]))
            log = softmax.log_prob(out[:, 0])
            found.append(log[range(len(ids) - 1), ids[1:]].sum().item())
    stored = {
        "torch": torch.__version__,
        "vocab": [f"{word} {40 - k}" for k, word in enumerate(words)],
        "train": train.splitlines(),
        "losses": losses,
        "lines": lines,
        "log_probability": found,
    }
    with open(os.path.join(folder, "adaptive.json"), "w") as file:
        json.dump(stored, file, indent=1)
        file.write("\n")


def run_documented_programs(wlstm, peers):
    """Runs the programs of the help as a user would, on a character model."""
    configuration = os.path.join(HERE, "..", "..", "configs", "shakespeare.toml")
    lines = ["O, sir", "Ay"]
    python = lambda program, folder: [
        float(number) for number in re.findall(r"-\d+\.\d+(?:e-\d+)?", run(sys.executable, "-c", program, cwd=folder))
    ]
    for cell in ["lstmp", "glstm"]:
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "run")
            sets = [f"model.cell={cell}", "model.hidden=32", "model.projection=16", "model.embedding=16", "train.seconds=0"]
            sets = [word for change in sets for word in ("--set", change)]
            run(wlstm, "train", configuration, "--out", out, "--device", "cpu", "-q", "--steps", "20", *sets)
            given = "".join(line + "\n" for line in lines)
            rows = run(wlstm, "score", out, "--device", "cpu", "-q", "--words", given=given).splitlines()
            rows = [row.split("\t") for row in rows]
            ours = [[float(row[1]) for row in rows if row[0] == str(k + 1)] for k in range(len(lines))]
            export = lambda form, name: run(
                wlstm, "export", out, "--format", form, "--out", os.path.join(folder, name), "-q"
            )
            if "onnxruntime" in peers:
                export("onnx", "model.onnx")
                compare(f"documented ONNX program, {cell}", python(documented("log_probability\"][0"), folder), ours[0])
                export("onnx-nll", "nll.onnx")
                program = "numpy = __import__('numpy'); numpy.set_printoptions(precision=9)\n" + documented("x_lens")
                compare(f"documented rescoring, {cell}", python(program, folder), [sum(words) for words in ours])
            if "torch" in peers:
                export("pytorch", "model.safetensors")
                with open(os.path.join(folder, "model.py"), "w") as file:
                    file.write(class_for(os.path.join(folder, "model.safetensors")))
                program = "__import__('torch').set_printoptions(precision=9)\n" + documented("enumerate(model.words)")
                compare(f"documented PyTorch program, {cell}", python(program, folder), ours[0])


def subwords(line, merges):
    """Byte-level BPE of a line of ASCII without digits and line ends."""
    found = []
    for word in re.findall(r"'(?:s|t|re|ve|m|ll|d)| ?[A-Za-z]+| ?[^\sA-Za-z]+|\s+(?!\S)|\s+", line):
        parts = list(word.replace(" ", "\u0120"))
        while len(parts) > 1:
            ranks = [merges.get(pair, math.inf) for pair in zip(parts, parts[1:])]
            first = ranks.index(min(ranks))
            if ranks[first] == math.inf:
                break
            parts[first : first + 2] = [parts[first] + parts[first + 1]]
        found += parts
    return found


def check_bits_per_byte(wlstm):
    """Compares the bits per byte of `wlstm eval` with an independent computation: tokens from Python, log-probabilities from ONNX
    Runtime."""
    dice = random.Random(11)
    names = "cat dog queen king house walks walking walked talks talking it's red redder the a of under over".split()
    line = lambda: "".join(
        ("" if k == 0 else dice.choice([" ", " ", ", "])) + dice.choice(names) for k in range(dice.randint(1, 9))
    )
    train, valid = [[line() + dice.choice(".!?") for _ in range(count)] for count in (400, 60)]
    for tokens, size in [("words", 0), ("characters", 0), ("bpe", 300)]:
        with tempfile.TemporaryDirectory() as folder:
            path = lambda name: os.path.join(folder, name)
            for name, lines in [("train.txt", train), ("valid.txt", valid)]:
                open(path(name), "w").write("".join(line + "\n" for line in lines))
            open(path("model.toml"), "w").write(CONFIG)
            out = path("run")
            sets = [f"data.tokens={tokens}", f"data.vocab_size={size}", "softmax.kind=full"]
            sets = [word for change in sets for word in ("--set", change)]
            run(wlstm, "train", path("model.toml"), "--out", out, "--device", "cpu", "-q", *sets)
            evaluated = json.loads(
                run(wlstm, "eval", out, "--data", path("valid.txt"), "--device", "cpu", "-q", "--json")
            )
            merges = {}
            if tokens == "bpe":
                run(wlstm, "vocab", out, "--out", path("tokenizer.json"), "-q")
                pairs = json.load(open(path("tokenizer.json"), encoding="utf-8"))["model"]["merges"]
                pairs = [tuple(pair.split(" ") if isinstance(pair, str) else pair) for pair in pairs]
                merges = {pair: rank for rank, pair in enumerate(pairs)}
            split = {
                "words": lambda line: re.findall(r"[A-Za-z]+(?:'[A-Za-z]+)*|\S", line),
                "characters": list,
                "bpe": lambda line: subwords(line, merges),
            }[tokens]

            def ids(words):
                entries = words.split("\n\n")[0] if tokens == "bpe" else words
                number = {entry.rsplit(" ", 1)[0]: k for k, entry in enumerate(entries.split("\n")) if entry}
                # One stream: the state carries over from line to line.
                stream = [number["<S>"]]
                for line in valid:
                    stream += [*(number[token] for token in split(line)), number["<S>"]]
                return [stream]

            run(wlstm, "export", out, "--format", "onnx", "--out", path("model.onnx"), "-q")
            nats = -sum(onnx_log_probabilities(path("model.onnx"), ids))
            counted = nats / math.log(2) / os.path.getsize(path("valid.txt"))
            compare(f"bits per byte, {tokens}", [counted], [evaluated["bits_per_byte"]])


def has(module):
    try:
        importlib.import_module(module)
        return True
    except ImportError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("wlstm")
    parser.add_argument("--require", action="append", default=[], choices=["torch", "onnxruntime"])
    parser.add_argument("--store", action="store_true")
    arguments = parser.parse_args()
    if arguments.store:
        store(HERE)
        store_cells(HERE)
        return store_adaptive(HERE)
    peers = [peer for peer in ["torch", "onnxruntime"] if has(peer)]
    missing = [peer for peer in arguments.require if peer not in peers]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}")
    wlstm = os.path.abspath(arguments.wlstm)
    lines = text(20, 7).split("\n")[:-1]
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        open(path("train.txt"), "w").write(text(400, 3))
        open(path("model.toml"), "w").write(CONFIG)
        for k, (name, changes) in enumerate(MODELS.items()):
            sets = [word for change in changes for word in ("--set", change)]
            out = path(f"run{k}")
            run(wlstm, "train", path("model.toml"), "--out", out, "--device", "cpu", "-q", *sets)
            scored = run(wlstm, "score", out, "--device", "cpu", "-q", given="".join(line + "\n" for line in lines))
            ours = [float(line.split("\t")[0]) for line in scored.splitlines()]
            if "onnxruntime" in peers:
                run(wlstm, "export", out, "--format", "onnx", "--out", path("model.onnx"), "-q")
                compare(f"ONNX Runtime, {name}", with_onnx(path("model.onnx"), lines), ours)
                run(wlstm, "export", out, "--format", "onnx-nll", "--out", path("nll.onnx"), "-q")
                compare(f"ONNX Runtime, sentences, {name}", with_nll(path("nll.onnx"), lines), ours)
            if "torch" in peers:
                run(wlstm, "export", out, "--format", "pytorch", "--out", path("model.safetensors"), "-q")
                compare(f"PyTorch, {name}", with_pytorch(path("model.safetensors"), lines), ours)
    if "onnxruntime" in peers:
        check_bits_per_byte(wlstm)
    run_documented_programs(wlstm, peers)
    print(f"all is well with {' and '.join(peers) or 'nothing: neither torch nor onnxruntime is installed'}")


main()
