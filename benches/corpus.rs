//! `cargo bench --bench corpus`: measures how fast text becomes a vocabulary, tokens, batches and the inputs
//! of steps. The text is generated with the sizes of the One Billion Word benchmark: a vocabulary of 793,470
//! words whose frequencies fall as 1/rank, 8,192 candidates, 128 streams of 20 steps.
//!
//! Each line has a name, a rate, the time, the average number of busy cores and the peak memory.
//! `WLSTM_BENCH_MB` is the size of the text (default: 256). `WLSTM_BENCH_TEXT` names a file to use instead of
//! generated text; it is repeated to that size.

use std::collections::HashSet;
use std::fs;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wlstm::config::Config;
use wlstm::corpus::{
    Batch, BatchOptions, Batches, CandidateSampler, Corpus, Loader, Order, Text, TokenCache,
    TokenKind, VocabularyBuilder,
};
use wlstm::kernels::embedding::rows::row_index;
use wlstm::model::language_model::Division;
use wlstm::random::{Purpose, Stream};
use wlstm::train::prepare::Preparer;

/// Words of the vocabulary, including special words.
const WORDS: usize = 793_470;
const SAMPLES: usize = 8192;
const BATCH: usize = 128;
const UNROLL: usize = 20;
/// Files of the text.
const FILES: usize = 4;

type Failure = Box<dyn std::error::Error>;

/// The CPU time of this process over all threads, in seconds.
fn cpu_seconds() -> f64 {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    }
    #[cfg(not(unix))]
    f64::NAN
}

/// The peak memory of this process since the last call, in MB, where the system reports it. Includes memory-mapped files.
fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let peak = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    let _ = fs::write("/proc/self/clear_refs", "5");
    peak.map_or("peak unknown".into(), |peak| {
        format!("peak {} MB", peak / 1000)
    })
}

/// Times `work`, which returns its amount in `unit`, and prints the rate.
fn measure<T>(
    name: &str,
    unit: &str,
    work: impl FnOnce() -> Result<(f64, T), Failure>,
) -> Result<T, Failure> {
    peak_memory();
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let (amount, made) = work()?;
    let seconds = start.elapsed().as_secs_f64();
    let cores = (cpu_seconds() - cpu) / seconds;
    println!(
        "{name:<46} {:>10.1} {unit}/s {seconds:>8.2} s {cores:>5.2} cores  {}",
        amount / seconds,
        peak_memory()
    );
    Ok(made)
}

/// Writes text of about `size` bytes: sentences of 5 to 45 words with log-uniform ranks.
fn generate(folder: &Path, size: usize) -> Result<(), Failure> {
    let mut stream = Stream::new(5, Purpose::Generate, 0);
    let mut words: Vec<String> = Vec::new();
    let mut known = HashSet::new();
    while words.len() < WORDS - 2 {
        let length = 2 + stream.below(4) + stream.below(5);
        let letters = (0..length).map(|_| char::from(b'a' + stream.below(26) as u8));
        let word: String = letters.collect();
        if known.insert(word.clone()) {
            words.push(word);
        }
    }
    let range = (words.len() as f64).ln_1p();
    for file in 0..FILES {
        let mut out = BufWriter::new(fs::File::create(folder.join(format!("text-{file}")))?);
        let mut written = 0;
        while written < size / FILES {
            let length = 5 + stream.below(41);
            for k in 0..length {
                let rank = (stream.uniform() * range).exp() as usize;
                let word = &words[rank.clamp(1, words.len()) - 1];
                out.write_all(word.as_bytes())?;
                out.write_all(if k + 1 < length { b" " } else { b"\n" })?;
                written += word.len() + 1;
            }
        }
        out.flush()?;
    }
    Ok(())
}

/// Writes a text repeatedly, to about `size` bytes.
fn repeat(folder: &Path, text: &Path, size: usize) -> Result<(), Failure> {
    let text = fs::read(text)?;
    for file in 0..FILES {
        let mut out = BufWriter::new(fs::File::create(folder.join(format!("text-{file}")))?);
        for _ in 0..(size / FILES).div_ceil(text.len().max(1)) {
            out.write_all(&text)?;
        }
        out.flush()?;
    }
    Ok(())
}

/// Writes text of about `size` bytes in which all words are distinct.
fn write_distinct(path: &Path, size: usize) -> Result<(), Failure> {
    let mut out = BufWriter::new(fs::File::create(path)?);
    let mut written = 0;
    for k in 0_u64.. {
        let word = format!(
            "{:x}{}",
            k.wrapping_mul(0x9e37_79b9) % (1 << 32),
            if k % 20 == 19 { '\n' } else { ' ' }
        );
        out.write_all(word.as_bytes())?;
        written += word.len();
        if written >= size {
            break;
        }
    }
    Ok(out.flush()?)
}

/// The number of words in the first `most` batches, in thousands.
fn words(
    batches: impl Iterator<Item = Result<Batch, wlstm::error::Error>>,
    most: usize,
) -> Result<(f64, ()), Failure> {
    let mut words = 0;
    for batch in batches.take(most) {
        words += black_box(batch?).words;
    }
    Ok((words as f64 / 1e3, ()))
}

fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let size =
        std::env::var("WLSTM_BENCH_MB").map_or(Ok(256), |text| text.parse::<usize>())? * 1_000_000;
    match std::env::var_os("WLSTM_BENCH_TEXT") {
        Some(text) => repeat(folder.path(), text.as_ref(), size)?,
        None => generate(folder.path(), size)?,
    }
    write_distinct(&folder.path().join("distinct"), size)?;
    // The cache does not trust the modification time of a file that has just been written.
    std::thread::sleep(Duration::from_secs(3));
    let corpus = Arc::new(Corpus::open(&[folder.path().join("text-*")])?);
    let megabytes = corpus.bytes() as f64 / 1e6;
    println!(
        "{megabytes:.0} MB of text, {} threads",
        rayon::current_num_threads()
    );
    let kind = TokenKind::Whitespace;
    let vocabulary = measure("vocabulary", "MB", || {
        Ok((
            megabytes,
            VocabularyBuilder::new(Order::Sentences, kind).build(&corpus)?,
        ))
    })?;
    let count = vocabulary.len();
    println!("{count} words in the vocabulary");
    measure("digest of the text", "MB", || {
        Ok((megabytes, corpus.digest()))
    })?;

    let distinct = Corpus::open(&[folder.path().join("distinct")])?;
    let megabytes_of_distinct = distinct.bytes() as f64 / 1e6;
    measure("vocabulary of distinct words, in 64 MB", "MB", || {
        let builder = VocabularyBuilder::new(Order::Sentences, kind).size(100_000);
        let vocabulary = builder.budget(64_000_000).build(&distinct)?;
        Ok((megabytes_of_distinct, vocabulary))
    })?;
    drop(distinct);

    let words_of = Arc::new(vocabulary);
    let cache = TokenCache::in_folder(folder.path().join("tokens"));
    let open = |corpus: &Arc<Corpus>| {
        let text = cache.open(corpus.clone(), words_of.clone(), kind, &|_, _| {})?;
        assert_eq!(text.cached_files(), FILES);
        Ok::<_, Failure>((megabytes, text))
    };
    measure("tokens, parsed and written", "MB", || open(&corpus))?;
    let cached = measure("tokens, opened again", "MB", || {
        // As in a new process: only the cache folder knows the text.
        let again = Corpus::open(&[folder.path().join("text-*")])?;
        open(&Arc::new(again))
    })?;
    let text = Text::new(corpus, words_of, kind);
    let options = |shuffle| BatchOptions {
        batch: BATCH,
        unroll: UNROLL,
        shuffle,
        seed: 1,
        epochs: 0,
    };
    let steps = 4000;
    for (name, text, shuffle) in [
        ("batches from text", &text, false),
        ("batches from text, shuffled", &text, true),
        ("batches from the cache", &cached, false),
        ("batches from the cache, shuffled", &cached, true),
    ] {
        measure(name, "K words", || {
            words(Batches::training(text, &options(shuffle))?, steps)
        })?;
    }

    let steps = 2000;
    let each = (BATCH * UNROLL) as f64 / 1e3;
    let all: Vec<Batch> = Batches::training(&text, &options(true))?
        .take(steps)
        .collect::<Result<_, _>>()?;
    let samples = SAMPLES.min(count);
    let mut sampler = CandidateSampler::new(count, samples)?;
    let drawn = measure("candidates", "K words", || {
        let mut drawn = None;
        for step in 0..steps as u64 {
            drawn = Some(sampler.draw(&mut Stream::new(1, Purpose::Candidates, step)));
        }
        Ok((each * steps as f64, drawn.ok_or("no step")?))
    })?;
    measure("log of expected counts", "K words", || {
        for batch in &all {
            let ids = [&drawn.ids[..], &batch.targets].concat();
            black_box(sampler.log_expected_counts(&ids, drawn.tries));
        }
        Ok((each * steps as f64, ()))
    })?;
    measure("row indices", "K words", || {
        for batch in &all {
            let ids = [&drawn.ids[..], &batch.targets].concat();
            black_box((row_index(&ids), row_index(&batch.inputs)));
        }
        Ok((each * steps as f64, ()))
    })?;
    let config = format!(
        "model.cell = \"lstmp\"\nmodel.dropout = 0.1\nsoftmax.samples = {samples}\ndata.train = [\"text-*\"]\ntrain.batch = {BATCH}\ntrain.unroll = {UNROLL}\n"
    );
    let config = Config::parse(&config, "bench.toml", folder.path(), &[])?;
    let mut preparer = Preparer::new(&config, count, 0, Division::WHOLE)?;
    measure("all inputs of a step, batch given", "K words", || {
        for batch in &all {
            black_box(preparer.prepare(batch.clone()));
        }
        Ok((each * steps as f64, ()))
    })?;
    let load = |text: &Text| {
        let batches = Batches::training(text, &options(true))?;
        let mut preparer = Preparer::new(&config, count, 0, Division::WHOLE)?;
        let loader = Loader::spawn(batches, move |batch| preparer.prepare(batch))?;
        let mut words = 0;
        for prepared in loader.take(steps) {
            words += black_box(prepared?).words;
        }
        Ok((words as f64 / 1e3, ()))
    };
    for (name, text) in [
        ("all inputs of a step, loader from text", &text),
        ("all inputs of a step, loader from the cache", &cached),
    ] {
        measure(name, "K words", || load(text))?;
    }
    // As in training on the CPU: the loader shares the cores with one busy thread per core.
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..rayon::current_num_threads() {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let measured = measure("the same, all cores busy", "K words", || load(&cached));
        done.store(true, Ordering::Relaxed);
        measured
    })
}
