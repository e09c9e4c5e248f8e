//! The results as text.

use std::collections::{BTreeMap, BTreeSet};

use super::super::wrap::wrap;
use super::document::{Document, Trained};
use super::tables::{kernel_table, training_table};
use crate::device::adapter_text;
use crate::numbers::{counted, grouped};
use crate::validate::golden::Difference;

/// Explains the columns of errors.
const LEGEND: &str = "largest errors of all runs: absolute, relative, in units in the last place (ulp), and as a share of the \
                      tolerance (of tol.). Only the last decides: more than 100 % is wrong";

impl Document {
    /// The text for a terminal of this width. `None`: the width is not known.
    pub fn text(&self, width: Option<usize>) -> String {
        let mut out = format!("wlstm {} on {}\n", self.version, self.system);
        match &self.adapter {
            Some(adapter) => out += &adapter_text(adapter),
            None => out += &format!("{}\n", self.device),
        }
        if !self.kernels.is_empty() {
            out += "\nKernels against f64 on the CPU; time of one case\n";
            out += &kernel_table(&self.kernels).text(width);
            out += &format!("{}\n", wrap(LEGEND, width.unwrap_or(100)));
        }
        if !self.training.is_empty() {
            out += "\nThree training steps against reference values in f64\n";
            out += &training_table(&self.training).text(width);
        }
        out.push('\n');
        for line in self
            .left_out()
            .into_iter()
            .chain(self.failures())
            .chain([self.summary()])
        {
            out += &format!("{line}\n");
        }
        if self.adapter.is_none() {
            out += "no shader was run: these are the kernels of the CPU\n";
        }
        out
    }

    /// A line for each reason why kernels were not run.
    fn left_out(&self) -> Vec<String> {
        let mut kernels_of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for found in &self.kernels {
            if let Some(reason) = found.left_out {
                kernels_of.entry(reason).or_default().push(found.kernel);
            }
        }
        let line = |(reason, kernels): (&str, Vec<&str>)| {
            format!("not run ({reason}): {}", kernels.join(", "))
        };
        kernels_of.into_iter().map(line).collect()
    }

    /// A line for each kernel and model that disagrees.
    fn failures(&self) -> Vec<String> {
        let kernels = self.kernels.iter().filter_map(|found| {
            let failure = found.failure.as_ref()?;
            Some(format!("WRONG {}: {failure}", found.kernel))
        });
        let models = self.training.iter().filter(|trained| !trained.agrees);
        let models = models.map(|trained| {
            let worst = trained.worst.as_ref().map(Difference::to_string);
            let why = trained.failure.clone().or(worst).unwrap_or_default();
            format!("WRONG {}: {why}", trained.name())
        });
        kernels.chain(models).collect()
    }

    /// How many agree.
    fn summary(&self) -> String {
        let mut parts = Vec::new();
        if !self.kernels.is_empty() {
            let ran = || self.kernels.iter().filter(|found| found.left_out.is_none());
            let right = ran().filter(|found| found.failure.is_none()).count();
            let runs: usize = ran().map(|found| found.runs).sum();
            parts.push(format!(
                "{right} of {} kernels agree ({} runs)",
                ran().count(),
                grouped(runs as u64)
            ));
        }
        if !self.training.is_empty() {
            let right = self.training.iter().filter(|trained| trained.agrees);
            let model = |trained: &Trained| trained.model;
            let models: BTreeSet<&str> = self.training.iter().map(model).collect();
            parts.push(format!(
                "{} of {} training runs agree ({})",
                right.count(),
                self.training.len(),
                counted(models.len() as u64, "model")
            ));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::verdict;
    use super::*;
    use crate::device::CpuExecutor;
    use crate::kernels::pointwise::add;
    use crate::validate::kernels::on_host;

    #[test]
    fn a_wrong_kernel_is_named_and_ends_with_code_6() {
        let mut executor = CpuExecutor::<f32>::new();
        let mut document = Document {
            version: "1",
            system: "here".to_owned(),
            device: "cpu".to_owned(),
            adapter: None,
            agrees: true,
            kernels: vec![on_host(&mut executor, &add::KERNEL).unwrap()],
            training: Vec::new(),
        };
        assert!(verdict(std::slice::from_ref(&document)).is_ok());
        assert!(document.text(None).contains("1 of 1 kernels agree"));
        assert!(document.text(None).contains("no shader was run"));
        document.agrees = false;
        document.kernels[0].failure = Some("odd length: sum[3] is 1".to_owned());
        let text = document.text(Some(60));
        assert!(
            text.contains("WRONG pointwise/add: odd length: sum[3] is 1"),
            "{text}"
        );
        assert!(text.contains("0 of 1 kernels agree"), "{text}");
        let error = verdict(&[document]).unwrap_err();
        assert_eq!(error.kind().exit_code(), 6);
        assert!(error.to_string().contains("pointwise/add on cpu"));
    }
}
