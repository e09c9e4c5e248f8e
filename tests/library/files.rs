//! Outputs to files, links, pipes and standard output.

#![cfg(unix)]

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;

use wlstm::error::{Error, Kind};
use wlstm::files::Output;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn write(path: &Path, text: &str) {
    Output::named(path).unwrap().write_text(text).unwrap();
}

fn refused(path: &Path, says: &str) {
    let error = Output::named(path).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn a_file_is_replaced_and_keeps_its_permissions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write(&path, "one");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let (before, mut opened) = (mode(&path), fs::File::open(&path).unwrap());
    write(&path, "two");
    assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    assert_eq!(mode(&path), before);
    let large = Output::named(&path).unwrap();
    let bytes = vec![b'x'; 20 << 20];
    large
        .write_large(|file| file.write_all(&bytes).map_err(|_| Error::data("no")))
        .unwrap();
    assert_eq!(
        (fs::read(&path).unwrap() == bytes, mode(&path)),
        (true, before)
    );
    // The file is replaced atomically: a reader that has opened the old file still reads it.
    let mut old = String::new();
    opened.read_to_string(&mut old).unwrap();
    assert_eq!(old, "one");
    // After a failure the file is as it was.
    assert!(large.write(|_| Err(Error::data("failed"))).is_err());
    assert!(large.write_large(|_| Err(Error::data("failed"))).is_err());
    assert_eq!(fs::metadata(&path).unwrap().len(), 20 << 20);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn links_stay_and_their_targets_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("there")).unwrap();
    fs::write(at("there/target"), "old").unwrap();
    symlink("there/target", at("link")).unwrap();
    symlink(at("link"), at("second")).unwrap();
    symlink("there/new", at("dangling")).unwrap();
    write(&at("second"), "new");
    write(&at("dangling"), "first");
    for link in ["link", "second", "dangling"] {
        assert!(at(link).is_symlink(), "{link}");
    }
    assert_eq!(fs::read_to_string(at("there/target")).unwrap(), "new");
    assert_eq!(fs::read_to_string(at("there/new")).unwrap(), "first");
    symlink("circle", at("circle")).unwrap();
    refused(&at("circle"), "circle");
    refused(&at("there"), "a folder");
    symlink("there", at("to-folder")).unwrap();
    refused(&at("to-folder"), "a folder");
    // Files in folders of the program are not written through links.
    assert!(Output::own(&at("link")).is_err());
    assert!(Output::own(&at("new")).is_ok());
}

#[test]
fn a_pipe_is_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, link) = (folder.path().join("pipe"), folder.path().join("link"));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    symlink("pipe", &link).unwrap();
    for path in [&pipe, &link] {
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read_to_string(pipe).unwrap()
        });
        write(path, "through the pipe");
        assert_eq!(reader.join().unwrap(), "through the pipe");
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    }
    assert!(Output::own(&pipe).is_err());
    // It is not an error if the reader closes the pipe early.
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::File::open(pipe).unwrap().read(&mut [0; 10]).unwrap()
    });
    let large = Output::named(&pipe).unwrap();
    let bytes = vec![b'x'; 4 << 20];
    large
        .write_large(|file| file.write_all(&bytes).map_err(|_| Error::data("no")))
        .unwrap();
    assert_eq!(reader.join().unwrap(), 10);
}

#[test]
fn names_of_standard_output_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    symlink("/dev/stdout", &link).unwrap();
    for path in [Path::new("-"), Path::new("/dev/stdout"), &link] {
        let output = Output::named_or_stdout(path, || Box::new(std::io::sink())).unwrap();
        assert!(output.is_stdout() && output.file().is_none());
        // The library itself never prints.
        assert!(!Output::named(path).unwrap().is_stdout());
    }
}

#[test]
fn partial_files_of_killed_writers_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let partial = folder.path().join(".wlstm-partial-abc");
    fs::write(&partial, "half").unwrap();
    write(&folder.path().join("file"), "whole");
    assert!(!partial.exists());
}
