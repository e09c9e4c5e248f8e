//! The command: chooses the devices, prints the results, and sets the exit code.

use super::super::args::Invocation;
use super::super::messages::note;
use super::super::output;
use super::args::ValidateArgs;
use super::check::{Selection, check};
use super::document::{cause, verdict};
use crate::device::{Device, choose, every_adapter};
use crate::error::Result;

/// Validates one device, or all.
pub(in crate::cli) fn run(arguments: &ValidateArgs, invocation: &Invocation) -> Result<()> {
    let quiet = invocation.quiet();
    let selection = Selection::new(&arguments.filter)?;
    let (mut documents, mut failed) = (Vec::new(), None);
    if arguments.all {
        let gpus = every_adapter().into_iter().map(Device::Gpu);
        for device in gpus.chain([Device::Cpu]) {
            let name = match &device {
                Device::Cpu => "cpu".to_owned(),
                Device::Gpu(adapter) => {
                    format!("{}, {}", adapter.summary.name, adapter.summary.backend)
                }
            };
            note(quiet, &format!("Validating {name} ..."));
            match check(device, &selection, invocation) {
                Ok(document) => documents.push(document),
                // Go on with the other devices; the last failure ends the command.
                Err(error) => {
                    let error = error.context(format!("{name} could not be validated"));
                    if let Some(before) = failed.replace(error) {
                        tracing::error!("{}", cause(&before));
                    }
                }
            }
        }
    } else {
        let choice = choose(&[&arguments.device])?;
        note(quiet, &choice.reason);
        documents.push(check(choice.device, &selection, invocation)?);
    }
    if arguments.json {
        match documents.as_slice() {
            [one] if !arguments.all => output::print_json(one)?,
            all => output::print_json(&all)?,
        }
    } else {
        let width = output::terminal_width();
        let texts: Vec<String> = documents
            .iter()
            .map(|document| document.text(width))
            .collect();
        output::print(texts.join("\n").as_bytes())?;
    }
    verdict(&documents)?;
    failed.map_or(Ok(()), Err)
}
