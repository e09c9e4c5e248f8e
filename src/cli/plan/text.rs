//! The costs as text, in at most 60 columns.

use std::fmt;

use super::super::wrap::wrap;
use super::costs::Costs;
use super::on_device::{DeviceKind, OnDevice};
use super::softmax::SoftmaxChoice;
use super::vocabulary::VocabularySource;
use crate::numbers::{bytes, counted, grouped};
use crate::tensor::Shape;
use crate::train::estimate::Change;

/// The columns of a table.
const WIDTH: usize = 60;

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, from) = match self.vocabulary_from {
            VocabularySource::File => ("", "its file"),
            VocabularySource::VocabSize => ("", "data.vocab_size"),
            VocabularySource::AtMost => ("at most ", "data.vocab_size"),
            VocabularySource::Text => ("", "the training text"),
        };
        writeln!(f, "{}", self.config.display())?;
        let words = grouped(self.vocabulary as u64);
        writeln!(f, "vocabulary: {least}{words} words, from {from}")?;
        let recomputed = if self.recompute {
            ", gates recomputed"
        } else {
            ""
        };
        writeln!(f, "precision: {}{recomputed}", self.precision)?;
        writeln!(f)?;
        writeln!(f, "{:<28}{:<16}{:>16}", "parameter", "shape", "count")?;
        for tensor in &self.tensors {
            let shape = Shape(tensor.shape.clone()).to_string();
            let count = grouped(tensor.parameters);
            writeln!(f, "{:<28}{shape:<16}{count:>16}", tensor.name)?;
        }
        writeln!(f)?;
        let mut line = |name: &str, value: u64| writeln!(f, "{name:<42}{:>18}", grouped(value));
        line("recurrent parameters", self.recurrent_parameters)?;
        line("parameters", self.parameters)?;
        line("FLOPs per word", self.flops_per_word)?;
        line("devices", self.devices)?;
        line("words per step", self.words_per_step)?;
        if self.devices > 1 {
            let exchange = &self.exchange_bytes_per_step;
            let title = "communication per step and device";
            writeln!(f, "\n{title:<34}{:>26}", "bytes")?;
            for (name, count) in [
                ("sent", exchange.sent),
                ("received", exchange.received),
                ("dense gradients, one way", exchange.dense),
                ("table rows of a device, at most", exchange.rows),
                ("between machines, each way", exchange.between_machines),
            ] {
                memory(f, name, count)?;
            }
        }
        writeln!(
            f,
            "\n{:<26}{:>16}{:>18}",
            "softmax", "parameters", "FLOPs per word"
        )?;
        for choice in &self.softmax {
            choice.fmt(f)?;
        }
        for place in &self.places {
            writeln!(f)?;
            place.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for SoftmaxChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.samples {
            Some(samples) => format!("{}, {}", self.kind, counted(samples as u64, "sample")),
            None => self.kind.to_owned(),
        };
        let (parameters, flops) = (grouped(self.parameters), grouped(self.flops_per_word));
        writeln!(f, "{name:<26}{parameters:>16}{flops:>18}")?;
        for (k, cluster) in self.clusters.iter().enumerate() {
            let ids = cluster.first_id..cluster.first_id + cluster.words;
            let part = match k {
                0 => "head".to_owned(),
                k => format!("cluster {}", k - 1),
            };
            let name = format!("  {part}: ids {} to {}", ids.start, ids.end - 1);
            let flops = grouped(cluster.flops_per_word);
            let share = format!("{:.1} %", 100.0 * cluster.share);
            writeln!(f, "{name:<36}{share:>8} {flops:>15}")?;
        }
        Ok(())
    }
}

/// A number of bytes, short and in full.
fn memory(f: &mut fmt::Formatter<'_>, name: &str, count: u64) -> fmt::Result {
    writeln!(f, "{name:<34}{:>11}{:>15}", bytes(count), grouped(count))
}

impl fmt::Display for OnDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!("{}: {}", self.device, self.name);
        let title: String = title.chars().take(WIDTH - 7).collect();
        writeln!(f, "{title:<53}{:>7}", "bytes")?;
        let (device, host) = (&self.estimate.device, &self.estimate.host);
        for (name, count) in [
            ("  parameters", device.parameters),
            ("  optimizer", device.optimizer),
            ("  moving average", device.moving_average),
            ("  persistent gradients", device.gradients),
            ("  transfer buffers", device.transfers),
            ("  recurrent state", device.state),
            ("  activations and gradients", device.activations),
        ] {
            if count > 0 || !name.starts_with("  persistent") && !name.starts_with("  transfer") {
                memory(f, name, count)?;
            }
        }
        if device.arenas.len() > 1 {
            for (k, count) in device.arenas.iter().enumerate() {
                memory(f, &format!("    arena {k}"), *count)?;
            }
        }
        memory(f, "  inputs and outputs", device.inputs_and_outputs)?;
        if device.params > 0 {
            memory(f, "  kernel parameters", device.params)?;
        }
        memory(f, "  total on the device", device.total)?;
        memory(f, "  host: vocabulary", host.vocabulary)?;
        if host.tables > 0 {
            memory(f, "  host: tables", host.tables)?;
        }
        memory(f, "  host: prepared batches", host.batches)?;
        if host.staging > 0 {
            memory(f, "  host: staging", host.staging)?;
        }
        memory(f, "  host: kernels and driver", host.work)?;
        if host.joining > 0 {
            memory(f, "  host: gradients of all devices", host.joining)?;
        }
        memory(f, "  host: transfers, at most", host.transfer)?;
        memory(f, "  total on the host", host.total)?;
        let mut line =
            |name: &str, value: usize| writeln!(f, "{name:<42}{:>18}", grouped(value as u64));
        line("  dispatches per step", self.estimate.dispatches_per_step)?;
        if let Some(dispatches) = self.estimate.dispatches_per_evaluation_batch {
            line("  dispatches per validation batch", dispatches)?;
        }
        self.write_verdict(f)
    }
}

impl OnDevice {
    fn write_verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let need = bytes(self.need);
        if let Some(refusal) = &self.estimate.refusal {
            wrapped(f, &format!("  cannot run here: {refusal}"))?;
        }
        let is_refused = self.estimate.refusal.is_some();
        let of_host = match self.available_of_host {
            Some(available) if self.need_of_host > 0 => format!(
                ",\n    on the host {}, and {} are available",
                bytes(self.need_of_host),
                bytes(available)
            ),
            _ => String::new(),
        };
        match (self.fits, self.available) {
            (Some(true), Some(available)) => {
                writeln!(
                    f,
                    "  fits: needs {need}, and {} are available{of_host}",
                    bytes(available)
                )?;
            }
            (Some(false), None) if !is_refused => {
                writeln!(f, "  does not fit: needs {need}{of_host}")?;
            }
            (_, None) => {
                let who = match self.kind {
                    DeviceKind::Any => "give its memory with --memory SIZE",
                    _ => "its driver does not report its memory; give it with --memory SIZE",
                };
                writeln!(f, "  needs {need}: {who}")?;
            }
            (_, Some(available)) => {
                if !is_refused {
                    let available = bytes(available);
                    writeln!(
                        f,
                        "  does not fit: needs {need}, and {available} are available{of_host}"
                    )?;
                }
            }
        }
        if self.fits != Some(false) {
            return Ok(());
        }
        if self.changes.is_empty() {
            return writeln!(f, "  no batch and no unroll is small enough");
        }
        for Change { set, bytes: need } in &self.changes {
            let sets: Vec<String> = set.iter().map(|set| format!("--set {set}")).collect();
            let sets = sets.join(" ");
            writeln!(f, "  would fit with {sets:<31}{:>12}", bytes(*need))?;
        }
        Ok(())
    }
}

/// Words in lines of at most [`WIDTH`] columns.
fn wrapped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    writeln!(f, "{}", wrap(text, WIDTH))
}
