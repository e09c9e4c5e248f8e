#!/usr/bin/env python3
"""Compares the tokens of `data.tokens = "bpe"` with those of the Python library `tokenizers`.

    python3 tests/interchange/tokenizer.py target/release/wlstm TEXT...

Trains a tokenizer with `wlstm vocab` and one with the library. Trains a model for two steps with each, and compares the tokens that
`wlstm score --words` prints for every line of the texts with those of the library. With --store, writes the tokenizer and the
tokens that tests/library/corpus/subwords.rs reads, also with other rules than those of GPT-2. Needs the package tokenizers.
"""
import argparse, json, os, subprocess, tempfile
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))

CONFIG = """
[model]
cell = "lstmp"
layers = 1
embedding = 8
hidden = 8
projection = 0
[softmax]
kind = "full"
[data]
order = "sentences"
tokens = "bpe"
[train]
batch = 2
unroll = 4
steps = 2
validate_every = 0
"""

LINES = [
    "It's 3.5 élan, isn't\tit?  Two  spaces, and three   ",
    "    indented; 'quoted' we'll they've I'm he'd I'LL",
    "日本語のテキスト。한국어 ไทย नमस्ते שלום",
    "👨\u200d👩\u200d👧 🇩🇪 e\u0301 x\u00a0y\u2003z a\u200bb \ufeff \u00ad",
    "½ ² Ⅷ ٣ १ ⓐ ™ ∑ -- ... $5.00 50% a_b <|end|> x<|end|>y",
    "word" * 30 + " " + "0123456789" * 12 + " " + "!?" * 40,
    "\u0001\u007f\u0085x\u2028y",
]


# Other rules for tokenizers, as they are in files.
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
REGEX = {**BYTES, "use_regex": True}
RULES = {
    "llama 3": {
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}, BYTES],
        }
    },
    "nfc": {"normalizer": {"type": "NFC"}, "pre_tokenizer": REGEX},
    "digits": {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, REGEX]}},
    "falcon": {
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Punctuation", "behavior": "Contiguous"},
                REGEX,
                {"type": "Digits", "individual_digits": False},
                {"type": "Split", "pattern": {"Regex": "[0-9][0-9][0-9]"}, "behavior": "Isolated", "invert": False},
            ],
        }
    },
    "whole lines": {"pre_tokenizer": BYTES},
    "normalizer": {"normalizer": {"type": "ByteLevel"}, "pre_tokenizer": None},
}


def with_rules(text, rules):
    """The JSON of a tokenizer with other rules."""
    return json.dumps({**json.loads(text), **rules})


def trained(lines, size=500, use_regex=True):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def compare(program, folder, name, tokenizer, lines):
    path = lambda file: os.path.join(folder, file)
    run = path(name)
    with open(path("config.toml"), "w") as file:
        file.write(CONFIG)
    sets = [f"data.vocab={path(tokenizer)}", f"data.train={path('train.txt')}"]
    sets = [part for value in sets for part in ("--set", value)]
    quiet = dict(check=True, stderr=subprocess.PIPE)
    subprocess.run([program, "train", path("config.toml"), "--out", run, "--device", "cpu", *sets], stdout=subprocess.PIPE, **quiet)
    rows = subprocess.run(
        [program, "score", run, path("train.txt"), "--words", "--raw", "--device", "cpu"], stdout=subprocess.PIPE, **quiet
    ).stdout.decode()
    found = {}
    for row in rows.split("\n")[:-1]:
        number, _, _, token = row.split("\t", 3)
        found.setdefault(int(number), []).append(token)
    library = Tokenizer.from_file(path(tokenizer))
    different = 0
    for number, line in enumerate(lines, 1):
        expected = library.encode(line, add_special_tokens=False).tokens
        if found[number][:-1] != expected:
            different += 1
            if different < 5:
                print(f"{name}, line {number}: {line!r}\n  wlstm   {found[number][:-1]}\n  library {expected}")
    tokens = sum(map(len, found.values())) - len(lines)
    print(f"{name}: {len(lines)} lines, {tokens} tokens, {different} lines differ")
    return different


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("program")
    arguments.add_argument("texts", nargs="*")
    arguments.add_argument("--store", action="store_true")
    arguments = arguments.parse_args()
    program = os.path.abspath(arguments.program)
    lines = [line for line in LINES if "\u0085" not in line]
    for text in arguments.texts:
        with open(text, encoding="utf-8", newline="\n") as file:
            lines += [line.rstrip("\n") for line in file]
    if arguments.store:
        with open(os.path.join(HERE, "../../configs/shakespeare/train.txt"), encoding="utf-8") as file:
            play = [line.rstrip("\n") for line in file]
        tokenizer = trained(play[:2000])
        stored = [{"line": line, "tokens": tokenizer.encode(line, add_special_tokens=False).tokens} for line in LINES + play[:40]]
        tokenizer.save(os.path.join(HERE, "tokenizer.json"), pretty=False)
        with open(os.path.join(HERE, "tokens.json"), "w", encoding="utf-8") as file:
            json.dump(stored, file, ensure_ascii=False)
            file.write("\n")
        # Tokens of this one cross the boundaries of every rule, so that each rule has its own tokens.
        crossing = trained(LINES * 20 + play[:500], 700, use_regex=False)
        others = {"tokenizer": json.loads(crossing.to_str()), "rules": []}
        for name, rules in RULES.items():
            library = Tokenizer.from_str(with_rules(crossing.to_str(), rules))
            tokens = [library.encode(line, add_special_tokens=False).tokens for line in LINES]
            found = [{"line": line, "tokens": found} for line, found in zip(LINES, tokens)]
            others["rules"].append({"name": name, "rules": rules, "lines": found})
        with open(os.path.join(HERE, "rules.json"), "w", encoding="utf-8") as file:
            json.dump(others, file, ensure_ascii=False)
            file.write("\n")
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "train.txt"), "w", encoding="utf-8", newline="\n") as file:
            file.writelines(line + "\n" for line in lines)
        trained(lines[:2000]).save(os.path.join(folder, "library.json"))
        out = os.path.join(folder, "own.json")
        command = [program, "vocab", os.path.join(folder, "train.txt"), "--tokens", "bpe", "--size", "4000", "--out", out]
        subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        names = ["library", "own"]
        for name, rules in RULES.items():
            with open(os.path.join(folder, "library.json"), encoding="utf-8") as file:
                text = with_rules(file.read(), rules)
            with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as file:
                file.write(text)
            names.append(name)
        different = sum(compare(program, folder, name, f"{name}.json", lines) for name in names)
    raise SystemExit(different > 0)


main()
