//! Files of tensors.

use std::borrow::Cow;
use std::collections::BTreeMap;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype as Theirs;
use safetensors::tensor::TensorView;
use wlstm::checkpoint::{Checkpoint, Dtype, Entry, write};
use wlstm::error::{Error, Kind};

use super::tools::{REALS, bits, metadata, names_in, refused, write_sample};

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
