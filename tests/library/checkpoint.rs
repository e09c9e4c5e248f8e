//! Checkpoints and run folders: files round-trip, other programs read them, damage is reported, nothing is lost.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype as Theirs, TensorView};
use wlstm::checkpoint::{
    Checkpoint, Dtype, Entry, RunFolder, RunRecord, SavedCheckpoint, Status, Which, find, write,
};
use wlstm::error::{Error, Kind, Result};

const REALS: [f32; 6] = [0.1, -2.5, f32::MIN_POSITIVE, f32::NAN, f32::INFINITY, -0.0];

fn entries() -> Vec<Entry> {
    vec![
        Entry::new("vocab", Dtype::U8, [3]),
        Entry::new("layers.0.gates.weight", Dtype::F32, [2, 3]),
        Entry::new("position", Dtype::F32, []),
        Entry::new("order \"quoted\" ä", Dtype::F32, [2]),
        Entry::new("nothing", Dtype::F32, [0, 4]),
    ]
}

fn metadata() -> BTreeMap<String, String> {
    [("config", "[model]\nhidden = 3\n"), ("ä", "\"\\")]
        .map(|(key, value)| (key.into(), value.into()))
        .into()
}

fn write_sample(path: &Path) -> Result<()> {
    write(path, &entries(), &metadata(), |name, sink| match name {
        "vocab" => sink.write_u8(b"abc"),
        "position" => sink.write_f32(&[-7.0]),
        "nothing" => Ok(()),
        name if name.starts_with("order") => sink.write_f32(&[1.0, f32::MAX]),
        _ => {
            sink.write_f32(&REALS[..4])?;
            sink.write_f32(&REALS[4..])
        }
    })
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Checks that a result is a data error whose text contains these parts.
#[track_caller]
fn refused<T>(result: Result<T>, parts: &[&str]) {
    let Err(error) = result else {
        panic!("no error, but expected one with {parts:?}")
    };
    assert_eq!(error.kind(), Kind::Data, "{}", error.chain());
    let chain = error.chain().to_string();
    for part in parts {
        assert!(chain.contains(part), "no `{part}` in: {chain}");
    }
}

#[test]
fn files_round_trip_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    write_sample(&path).unwrap();
    assert_eq!(names_in(folder.path()), ["a.safetensors"]);
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.metadata(), &metadata());
    assert_eq!(
        checkpoint.names(),
        [
            "layers.0.gates.weight",
            "nothing",
            "order \"quoted\" ä",
            "position",
            "vocab"
        ]
    );
    let (shape, values) = checkpoint.tensor_f32("layers.0.gates.weight").unwrap();
    assert_eq!((shape, bits(&values)), ([2, 3].as_slice(), bits(&REALS)));
    assert!(
        matches!(values, Cow::Borrowed(_)),
        "aligned numbers are not copied"
    );
    assert_eq!(
        checkpoint.tensor_f32("position").unwrap(),
        ([].as_slice(), Cow::Borrowed([-7.0].as_slice()))
    );
    assert_eq!(
        *checkpoint.tensor_f32("order \"quoted\" ä").unwrap().1,
        [1.0, f32::MAX]
    );
    assert_eq!(checkpoint.tensor_u8("vocab").unwrap(), b"abc");
    assert_eq!(
        checkpoint.tensor_f32("nothing").unwrap(),
        ([0, 4].as_slice(), Cow::Owned(vec![]))
    );
    assert!(checkpoint.contains("vocab") && !checkpoint.contains("vocabulary"));
}

/// A file larger than all write buffers, written in pieces that do not divide a buffer.
#[test]
fn large_files_round_trip() {
    const LEN: usize = 9 << 20;
    let value = |k: usize| f32::from_bits((k as u32).wrapping_mul(2_654_435_761) >> 2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.safetensors");
    let entries = [Entry::new("w", Dtype::F32, [LEN])];
    let values: Vec<f32> = (0..LEN).map(value).collect();
    write(&path, &entries, &metadata(), |_, sink| {
        values
            .chunks(3_333_333)
            .try_for_each(|piece| sink.write_f32(piece))
    })
    .unwrap();
    let file = Checkpoint::open(&path).unwrap();
    assert_eq!(file.metadata(), &metadata());
    let mut piece = vec![0.0; 1_234_567];
    for start in (0..LEN).step_by(piece.len()) {
        let len = piece.len().min(LEN - start);
        file.read_f32("w", start, &mut piece[..len]).unwrap();
        assert!(bits(&piece[..len]) == bits(&values[start..start + len]));
    }
    let old = std::fs::read(&path).unwrap();
    let mut pieces = 0;
    let lost = write(&path, &entries, &metadata(), |_, sink| {
        pieces += 1;
        sink.write_f32(&values[..LEN / 2])?;
        Err(Error::device("the device is lost"))
    });
    assert_eq!((lost.unwrap_err().kind(), pieces), (Kind::Device, 1));
    assert!(std::fs::read(&path).unwrap() == old);
    assert_eq!(names_in(folder.path()), ["large.safetensors"]);
}

#[test]
fn files_are_compatible_with_the_safetensors_crate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    write_sample(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(u64::from_le_bytes(bytes[..8].try_into().unwrap()) % 8, 0);
    let theirs = SafeTensors::deserialize(&bytes).unwrap();
    let view = theirs.tensor("layers.0.gates.weight").unwrap();
    assert_eq!(
        (view.dtype(), view.shape()),
        (Theirs::F32, [2, 3].as_slice())
    );
    assert_eq!(view.data(), bytemuck::cast_slice::<f32, u8>(&REALS));
    assert_eq!(theirs.tensor("vocab").unwrap().data(), b"abc");
    assert_eq!(theirs.len(), 5);

    // In files of other programs, numbers may be unaligned.
    for padding in 0..8 {
        let header = format!(
            "{{\"w\":{{\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":[0,24]}}}}{}",
            " ".repeat(padding)
        );
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(bytemuck::cast_slice::<f32, u8>(&REALS));
        std::fs::write(&path, bytes).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        assert_eq!(bits(&checkpoint.tensor_f32("w").unwrap().1), bits(&REALS));
    }
    let half = TensorView::new(Theirs::F16, vec![2], &[0; 4]).unwrap();
    std::fs::write(&path, safetensors::serialize([("w", half)], None).unwrap()).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert!(checkpoint.metadata().is_empty());
    refused(
        checkpoint.tensor_f32("w"),
        &["`w`", "a.safetensors", "F16", "F32"],
    );
    refused(
        checkpoint.tensor_f32("v"),
        &["no tensor `v`", "a.safetensors"],
    );
    refused(checkpoint.shape("v"), &["no tensor `v`"]);
}

#[test]
fn a_file_truncated_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    write_sample(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let cut = folder.path().join("cut.safetensors");
    for length in 0..whole.len() {
        std::fs::write(&cut, &whole[..length]).unwrap();
        refused(
            Checkpoint::open(&cut),
            &[
                "cut.safetensors",
                if length == 0 {
                    "is empty"
                } else {
                    "is truncated"
                },
            ],
        );
    }
    std::fs::write(&cut, [&whole[..], b"x"].concat()).unwrap();
    refused(Checkpoint::open(&cut), &["has extra bytes"]);
}

#[test]
fn foreign_and_damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    refused(Checkpoint::open(&path), &["cannot read", "a.safetensors"]);
    refused(Checkpoint::open(folder.path()), &["is not a file"]);
    let foreign: [&[u8]; 4] = [
        b"PK\x03\x04 a torch file, say, of some length",
        &[0xff; 64],
        &[0; 64],
        b"# A README.\n\nWords.",
    ];
    for bytes in foreign {
        std::fs::write(&path, bytes).unwrap();
        refused(Checkpoint::open(&path), &["is not a safetensors file"]);
    }
    for header in [
        "{not json}",
        "{\"w\":{\"dtype\":\"F99\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[18446744073709551615,2],\"data_offsets\":[0,4]}}",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}",
    ] {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0; 4]);
        std::fs::write(&path, bytes).unwrap();
        refused(
            Checkpoint::open(&path),
            &["is not a valid safetensors file", "because"],
        );
    }
}

#[test]
fn every_wrong_parameter_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("init.safetensors");
    let entries = ["a", "b", "state.c", "stray", "d"].map(|name| Entry::new(name, Dtype::F32, [2]));
    let mut entries = entries.to_vec();
    entries.push(Entry::new("e", Dtype::U8, [2]));
    write(&path, &entries, &BTreeMap::new(), |name, sink| {
        if name == "e" {
            sink.write_u8(&[0; 2])
        } else {
            sink.write_f32(&[0.0; 2])
        }
    })
    .unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let expected = |names: &[&str]| {
        names
            .iter()
            .map(|&name| (name.to_owned(), vec![2]))
            .collect::<Vec<_>>()
    };
    let mut wanted = expected(&["a", "e", "gone", "lost"]);
    wanted.push(("b".into(), vec![1, 2]));
    let result = checkpoint.check_parameters(&wanted, &["state."]);
    refused(
        result,
        &[
            "init.safetensors",
            "`gone` [2] is missing",
            "`lost` [2] is missing",
            "`b` has shape [2] and should have [1, 2]",
            "`stray` is unknown",
            "`d` is unknown",
            "`e` is U8 and should be F32",
        ],
    );
    let error = checkpoint
        .check_parameters(&wanted, &["state."])
        .unwrap_err()
        .to_string();
    assert!(
        !error.contains("`a`") && !error.contains("state.c"),
        "{error}"
    );
    assert!(
        checkpoint
            .check_parameters(&expected(&["a", "b"]), &["state.", "s", "d", "e"])
            .is_ok()
    );
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    write_sample(&path).unwrap();
    let old = std::fs::read(&path).unwrap();
    let one = [Entry::new("w", Dtype::F32, [2])];
    let none = BTreeMap::new();
    refused(
        write(&path, &one, &none, |_, sink| sink.write_f32(&[1.0])),
        &["`w`", "fewer", "[2]"],
    );
    refused(
        write(&path, &one, &none, |_, sink| sink.write_f32(&[1.0; 3])),
        &["`w`", "more", "[2]"],
    );
    refused(
        write(&path, &one, &none, |_, sink| sink.write_u8(&[1; 8])),
        &["`w`", "F32", "U8"],
    );
    let lost = write(&path, &one, &none, |_, _| {
        Err(Error::device("the device is lost"))
    })
    .unwrap_err();
    assert_eq!(lost.kind(), Kind::Device);
    let twice = [one[0].clone(), one[0].clone()];
    refused(
        write(&path, &twice, &none, |_, sink| sink.write_f32(&[1.0; 2])),
        &["`w` occurs twice"],
    );
    let large = [Entry::new("w", Dtype::F32, [usize::MAX, 2])];
    refused(
        write(&path, &large, &none, |_, _| Ok(())),
        &["`w`", "too large"],
    );
    assert_eq!(std::fs::read(&path).unwrap(), old);
    assert_eq!(names_in(folder.path()), ["a.safetensors"]);
    refused(
        write_sample(&folder.path().join("none/a.safetensors")),
        &["cannot write", "create the folder first"],
    );
    refused(write_sample(&path.join("b.safetensors")), &["cannot write"]);
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    refused(
        write_sample(&folder.path().join("folder")),
        &["cannot write"],
    );
    assert_eq!(names_in(folder.path()), ["a.safetensors", "folder"]);
}

fn record(best: Option<SavedCheckpoint>) -> RunRecord {
    RunRecord {
        version: "0.1.0".into(),
        config: "shakespeare".into(),
        devices: vec!["cpu (2 threads)".into()],
        seed: u64::MAX,
        status: Status::Running,
        best,
        last: Some(SavedCheckpoint::new(12, Some(f64::INFINITY))),
    }
}

#[test]
fn an_existing_folder_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/run");
    let run = RunFolder::create(&path).unwrap();
    run.write_record(&record(None)).unwrap();
    run.write_config("[model]\n").unwrap();
    drop(run);
    let before = std::fs::read(path.join("run.json")).unwrap();
    refused(
        RunFolder::create(&path),
        &["already contains a run", "--resume", "--out"],
    );
    assert_eq!(std::fs::read(path.join("run.json")).unwrap(), before);
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    assert!(
        RunFolder::create(&other).is_ok(),
        "an empty folder is accepted"
    );
    let full = folder.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("thesis.txt"), "words").unwrap();
    refused(RunFolder::create(&full), &["is not empty", "--out"]);
    assert_eq!(names_in(&full), ["thesis.txt"]);
    refused(
        RunFolder::create(&full.join("thesis.txt")),
        &["is not a folder"],
    );
    refused(
        RunFolder::create(&full.join("thesis.txt/run")),
        &["cannot create the folder"],
    );
    refused(RunFolder::resume(&full), &["no run to resume"]);
    refused(
        RunFolder::resume(&folder.path().join("none")),
        &["no run to resume"],
    );
}

#[test]
fn runs_without_a_name_are_numbered() {
    let folder = tempfile::tempdir().unwrap();
    let config = Path::new("configs/shakespeare.toml");
    let newest = || RunFolder::newest_numbered(folder.path(), config).unwrap();
    assert_eq!(newest(), None);
    // A folder without a record is removed again.
    drop(RunFolder::create_numbered(folder.path(), config).unwrap());
    assert_eq!(newest(), None);
    let runs = folder.path().join("runs");
    // Names that are not numbered folders of this configuration.
    for other in ["shakespeare-02", "shakespeare-x", "shakespeares", "other-7"] {
        std::fs::create_dir(runs.join(other)).unwrap();
    }
    for (name, gone) in [
        ("shakespeare", None),
        ("shakespeare-2", None),
        ("shakespeare-3", Some("shakespeare")),
        // A gap is not filled: the newest run has the highest number.
        ("shakespeare-4", Some("shakespeare-3")),
    ] {
        let run = RunFolder::create_numbered(folder.path(), config).unwrap();
        assert_eq!(run.path(), runs.join(name));
        run.write_record(&record(None)).unwrap();
        assert_eq!(newest().as_deref(), Some(run.path()));
        if let Some(gone) = gone {
            std::fs::remove_dir_all(runs.join(gone)).unwrap();
        }
    }
}

#[test]
fn a_failed_start_leaves_a_usable_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("given");
    std::fs::create_dir(&path).unwrap();
    drop(RunFolder::create(&path).unwrap());
    assert!(names_in(&path).is_empty(), "an existing folder stays empty");
    // The files of a process that was killed before its first record.
    std::fs::write(path.join(".lock"), "").unwrap();
    std::fs::create_dir(path.join("checkpoints")).unwrap();
    let run = RunFolder::create(&path).unwrap();
    refused(
        RunFolder::create(&path),
        &["another process is training in"],
    );
    drop(run);
    // A folder with a checkpoint is not empty.
    std::fs::create_dir(path.join("checkpoints")).unwrap();
    std::fs::write(path.join("checkpoints/step-00000001.safetensors"), "x").unwrap();
    refused(RunFolder::create(&path), &["is not empty"]);
}

#[test]
fn only_one_process_uses_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let run = RunFolder::create(&path).unwrap();
    run.write_record(&record(None)).unwrap();
    refused(
        RunFolder::resume(&path),
        &["another process is training in"],
    );
    drop(run);
    let run = RunFolder::resume(&path).unwrap();
    refused(
        RunFolder::resume(&path),
        &["another process is training in"],
    );
    drop(run);
}

#[test]
fn records_round_trip_and_partial_files_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let run = RunFolder::create(&path).unwrap();
    let written = record(Some(SavedCheckpoint::new(1000, Some(35.1))));
    run.write_record(&written).unwrap();
    assert_eq!(RunRecord::read(run.path()).unwrap(), written);
    assert_eq!(written.last.as_ref().unwrap().perplexity, None);
    assert_eq!(
        written.best.as_ref().unwrap().checkpoint,
        "checkpoints/step-00001000.safetensors"
    );
    write_sample(&run.checkpoint_path(7)).unwrap();
    drop(run);
    // A killed process leaves a temporary file with a random name.
    for folder in [path.clone(), path.join("checkpoints")] {
        std::fs::write(folder.join(".wlstm-partial-x8Gd2k"), "half").unwrap();
    }
    let run = RunFolder::resume(&path).unwrap();
    assert_eq!(names_in(&path), [".lock", "checkpoints", "run.json"]);
    assert_eq!(
        names_in(&path.join("checkpoints")),
        ["step-00000007.safetensors"]
    );
    std::fs::write(path.join("run.json"), "{\"version\": 3").unwrap();
    refused(RunRecord::read(run.path()), &["cannot read", "run.json"]);
}

#[test]
fn sweep_removes_the_temporary_file_of_a_write() {
    let folder = tempfile::tempdir().unwrap();
    let one = [Entry::new("w", Dtype::U8, [0])];
    let mut during = Vec::new();
    write(&folder.path().join("a"), &one, &BTreeMap::new(), |_, _| {
        during = names_in(folder.path());
        Ok(())
    })
    .unwrap();
    assert_eq!(during.len(), 1);
    std::fs::write(folder.path().join(&during[0]), "half").unwrap();
    assert_eq!(
        wlstm::files::sweep(folder.path()).unwrap(),
        [folder.path().join(&during[0])]
    );
    assert_eq!(names_in(folder.path()), ["a"]);
}

#[test]
fn pruning_keeps_the_newest_and_given_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run")).unwrap();
    for step in [5, 100_000_000, 20, 10, 15] {
        write_sample(&run.checkpoint_path(step)).unwrap();
    }
    let checkpoints = run.path().join("checkpoints");
    for stranger in ["notes.txt", "step-7.safetensors", "step-x.safetensors"] {
        std::fs::write(checkpoints.join(stranger), "").unwrap();
    }
    assert_eq!(run.steps().unwrap(), [5, 10, 15, 20, 100_000_000]);
    assert!(run.prune(9, &[]).unwrap().is_empty());
    assert_eq!(run.prune(2, &[Some(10), None]).unwrap(), [5, 15]);
    assert_eq!(run.steps().unwrap(), [10, 20, 100_000_000]);
    assert_eq!(run.prune(2, &[Some(20)]).unwrap(), [10]);
    assert!(
        checkpoints.join("notes.txt").exists() && checkpoints.join("step-7.safetensors").exists()
    );
}

#[test]
fn a_checkpoint_is_found_by_its_path_or_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    refused(find(&path, Which::Best), &["no run and no checkpoint"]);
    let run = RunFolder::create(&path).unwrap();
    refused(find(&path, Which::Best), &["no checkpoint in"]);
    refused(find(folder.path(), Which::Last), &["no checkpoint in"]);
    for step in [10, 20, 30] {
        write_sample(&run.checkpoint_path(step)).unwrap();
    }
    let found = |which| find(&path, which).unwrap().checkpoint;
    assert_eq!(
        found(Which::Best),
        run.checkpoint_path(30),
        "no best checkpoint is recorded"
    );
    run.write_record(&record(Some(SavedCheckpoint::new(20, Some(9.0)))))
        .unwrap();
    assert_eq!(found(Which::Best), run.checkpoint_path(20));
    assert_eq!(found(Which::Last), run.checkpoint_path(30));
    let one = find(&run.checkpoint_path(10), Which::Best).unwrap();
    assert_eq!((one.checkpoint, one.run), (run.checkpoint_path(10), None));
    std::fs::remove_file(run.checkpoint_path(20)).unwrap();
    assert_eq!(found(Which::Best), run.checkpoint_path(30));
    std::fs::write(path.join("run.json"), "").unwrap();
    refused(find(&path, Which::Best), &["run.json"]);
}
