#!/usr/bin/env python3
"""Trains the models of the paper at full size: three steps, a checkpoint, a resume, an evaluation.

    python3 benches/paper_scale.py                                       # lm1b-biglstm and lm1b-g4 on the CPU
    python3 benches/paper_scale.py --device gpu:llvmpipe                 # on the software adapter
    python3 benches/paper_scale.py --device gpu --config lm1b-g4 --set model.tables=host
    python3 benches/paper_scale.py --plan                                # print `wlstm plan` too

Needs `cargo build --release` before, 24 GB of memory and 35 GB of disk. The vocabulary (793,470 words) and the texts are generated.
The training text repeats one sentence, so that the loss falls within three steps. The words of the evaluation text are drawn by
frequency, so its perplexity stays close to that of an untrained model. Reports the wall time and the peak memory of each command,
and the time of a checkpoint (from the log) beside that of a plain file of the same size.
"""
import argparse, json, os, pathlib, random, re, shutil, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
WORDS, GIB = 793470, 2.0**30


def generate(folder):
    """Writes a vocabulary of the benchmark's size, sorted by descending frequency, and two texts."""
    vocab, train, valid = folder / "vocab.txt", folder / "train.txt", folder / "valid.txt"
    with vocab.open("w") as file:
        for k in range(WORDS):
            word = {0: "<S>", 1: "<UNK>"}.get(k, f"w{k}")
            print(word, 300_000_000 // (k + 10), file=file)
    draw = random.Random(1)
    # Ids follow the log-uniform distribution, as in the candidate sampler.
    word = lambda: f"w{min(int(WORDS ** draw.random()) + 1, WORDS - 1)}"
    sentence = lambda: " ".join(word() for _ in range(19))
    train.write_text(f"{sentence()}\n" * 400)
    valid.write_text("".join(f"{sentence()}\n" for _ in range(400)))
    return {"data.vocab": vocab, "data.train": train, "data.valid": valid, "data.test": valid}


def measure(command):
    """Runs a command. Returns its standard output, its standard error, wall seconds and peak bytes."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        environment = dict(os.environ, RUST_LOG="wlstm=debug", NO_COLOR="1", WLSTM_CACHE_LIMIT="8")
        begin = time.monotonic()
        child = subprocess.Popen(list(map(str, command)), stdout=out, stderr=err, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        out, err = out.read(), err.read()
    if child.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {child.returncode}:\n{err}")
    return out, err, seconds, usage.ru_maxrss * 1024


def logged(err, what):
    """Bytes and seconds of the log lines that contain `what`; 0 where a line has none."""
    found = []
    for line in err.splitlines():
        if what in line:
            fields = dict(re.findall(r"(\w+)=([^\s]+)", line))
            found.append((int(fields.get("bytes", 0)), float(fields.get("seconds", 0))))
    return found


def disk(folder, size):
    """Seconds to write and sync a new file of `size` bytes, and to read it back from the disk."""
    block = os.urandom(1 << 24)
    path = folder / "disk"
    begin = time.monotonic()
    with path.open("wb", buffering=0) as file:
        for _ in range(size // len(block)):
            file.write(block)
        os.fsync(file.fileno())
    write = time.monotonic() - begin
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        room = bytearray(len(block))
        begin = time.monotonic()
        while file.readinto(room):
            pass
        read = time.monotonic() - begin
    path.unlink()
    return write, read


def steps(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "step"]


def case(options, config, folder, texts):
    """Trains three steps, saves, resumes for two more, evaluates, and prints the measurements."""
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    own = [f"--set={key}={value}" for key, value in texts.items() if key != "data.valid"] + ["--set=data.valid=[]"]
    own += ["--set=train.batch=8", "--set=train.keep=1", "--set=train.log_every=1", "--set=data.shuffle=false"]
    own += [f"--set={setting}" for setting in options.set]
    path = HERE.parent / "configs" / f"{config}.toml"
    if options.plan:
        print(subprocess.run([options.wlstm, "plan", path, *own], capture_output=True, text=True).stdout)
    train = [options.wlstm, "train", path, "--device", options.device, "--out", run, *own]
    print(f"{config} on {options.device} {' '.join(options.set)}", flush=True)

    out, err, seconds, peak = measure([*train, "--steps", "3"])
    done = steps(run)
    losses = [step["loss"] for step in done]
    assert all(later < sooner for sooner, later in zip(losses, losses[1:])), f"the loss does not fall: {losses}"
    # The first step includes the set-up of the device.
    pace = [later["seconds"] - sooner["seconds"] for sooner, later in zip(done, done[1:])]
    [(size, wrote)] = logged(err, "checkpoint written")
    plain = int(options.disk * GIB) if options.disk else size
    [(held, _)] = logged(err, "memory of a device")
    write, read = disk(folder, plain)
    speed = plain / 1e6
    print(f"  3 steps      {seconds:6.0f} s   peak {peak / GIB:5.2f} GiB, device {held / GIB:.2f} GiB   {max(pace):.1f} s a step   losses {' '.join(f'{loss:.3f}' for loss in losses)}")
    print(f"  checkpoint   {wrote:6.1f} s   {size / 1e9:.2f} GB, {size / 1e6 / wrote:.0f} MB/s (a plain file: {speed / write:.0f} MB/s)", flush=True)

    for name in (run / "checkpoints").iterdir():
        with name.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    out, err, seconds, peak = measure([*train, "--steps", "5", "--resume"])
    losses = [step["loss"] for step in steps(run)]
    assert len(losses) == 5 and losses[4] < losses[2], f"the loss does not keep falling: {losses}"
    [(_, took)] = logged(err, "checkpoint read")
    print(f"  2 more       {seconds:6.0f} s   peak {peak / GIB:5.2f} GiB   read in {took:.1f} s, {size / 1e6 / took:.0f} MB/s (a plain file: {speed / read:.0f} MB/s)   losses {' '.join(f'{loss:.3f}' for loss in losses[3:])}", flush=True)

    command = [options.wlstm, "eval", run, "--data", texts["data.valid"], "--targets", "2000", "--device", options.device, "--json"]
    out, err, seconds, peak = measure(command)
    print(f"  evaluation   {seconds:6.0f} s   peak {peak / GIB:5.2f} GiB   {out.strip()}", flush=True)
    shutil.rmtree(run)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--wlstm", default=HERE.parent / "target/release/wlstm")
    p.add_argument("--device", default="cpu", help="value of --device")
    p.add_argument("--config", action="append", help="name of a file in configs (default: lm1b-biglstm and lm1b-g4)")
    p.add_argument("--set", action="append", default=[], help="also set SECTION.KEY=VALUE")
    p.add_argument("--folder", help="folder of the temporary run (default: that of the system)")
    p.add_argument("--disk", type=float, help="GiB of the plain file (default: the size of the checkpoint)")
    p.add_argument("--plan", action="store_true", help="also print `wlstm plan`")
    options = p.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        folder = pathlib.Path(folder)
        texts = generate(folder)
        for config in options.config or ["lm1b-biglstm", "lm1b-g4"]:
            case(options, config, folder, texts)


if __name__ == "__main__":
    main()
