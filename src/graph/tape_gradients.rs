//! Where the gradients of values and parameters are written, and the loss scale.

use super::gradient::{Gradient, MicroBatch, SharedSources, Sources};
use super::plan::{Role, Slice};
use super::tape::{Graph, Parameter, Value, ValueInfo};
use crate::kernels::optimizer::control;
use crate::kernels::pointwise::copy;
use crate::tensor::names::{self, LOSS_SCALE};

impl Graph {
    /// The factor of the loss's gradient, `[1]`: where the loss is scaled, the first element of the tensor [`LOSS_SCALE`], else the
    /// element [`control::LOSS_SCALE`] of the input `control`.
    pub(super) fn loss_scale(&mut self) -> Slice {
        let scale = match self.loss_scale {
            Some(scale) => scale,
            None if self.builder.scales_loss() => {
                self.builder
                    .persistent(Role::OptimizerState, LOSS_SCALE, [2])
            }
            None => {
                let control = self.builder.real_input("control", [control::LEN]);
                control.part(control::LOSS_SCALE, 1)
            }
        };
        self.loss_scale = Some(scale);
        scale.part(0, 1)
    }

    /// Both elements of the tensor [`LOSS_SCALE`], in a graph that scales its loss.
    pub fn dynamic_loss_scale(&self) -> Option<Slice> {
        self.loss_scale.filter(|_| self.builder.scales_loss())
    }

    /// Declares the tensor [`LOSS_SCALE`] in a graph that scales its loss and only updates.
    pub fn declare_loss_scale(&mut self) {
        self.loss_scale();
    }

    /// The parameters that have a gradient, with their names.
    pub fn gradients(&self) -> impl Iterator<Item = (Parameter, &str, Gradient)> {
        self.parameters.iter().enumerate().filter_map(|(k, info)| {
            info.gradient
                .map(|gradient| (Parameter(k), info.name.as_str(), gradient))
        })
    }

    /// Sets the gradient of a parameter, which another plan computed.
    pub fn set_gradient(&mut self, parameter: Parameter, gradient: Gradient) {
        self.parameters[parameter.0].gradient = Some(gradient);
    }

    /// The gradient of a parameter so far.
    pub(super) fn gradient_of(&self, parameter: Parameter) -> Option<Gradient> {
        self.parameters[parameter.0].gradient
    }

    /// The dense gradient of a parameter, and whether to add to its contents. Declared at the first call.
    ///
    /// # Panics
    ///
    /// If the parameter has a gradient sparse by rows.
    pub fn dense_gradient(&mut self, parameter: Parameter) -> (Slice, bool) {
        if let Some(gradient) = self.parameters[parameter.0].gradient {
            let Gradient::Dense(slice) = gradient else {
                panic!(
                    "`{}` has a sparse gradient already",
                    self.parameters[parameter.0].name
                )
            };
            return (slice, true);
        }
        let (rows, width) = self.extents(parameter);
        let slice = self.gradient_tensor(parameter, rows, width);
        self.parameters[parameter.0].gradient = Some(Gradient::Dense(slice));
        (slice, self.micro_batch.is_some_and(|part| part.index > 0))
    }

    /// Where one of several micro-batches writes its rows of a sparse gradient: `common` rows that all micro-batches share, then
    /// for each of `kinds` kinds `own` rows of every micro-batch. None in a graph of a whole batch.
    pub(super) fn sources(
        &mut self,
        parameter: Parameter,
        index: &'static str,
        common: usize,
        own: usize,
        kinds: usize,
    ) -> Option<Sources> {
        let MicroBatch { index: part, count } = self.micro_batch?;
        let width = self.parameters[parameter.0].width;
        let capacity = common + kinds * count * own;
        let all = self.gradient_tensor(parameter, capacity, width);
        self.begin_gradient(
            parameter,
            Gradient::Sources {
                index,
                capacity,
                scale: 1.0,
            },
        );
        let rows_of = |kind: usize| {
            let first = common + (kind * count + part) * own;
            all.part(first * width, own * width)
        };
        Some(Sources {
            common: all.part(0, common * width),
            accumulate: part > 0,
            own: (0..kinds).map(rows_of).collect(),
        })
    }

    /// Multiplies the scale of [`Gradient::Sources`].
    pub(super) fn scale_sources(&mut self, parameter: Parameter, factor: f32) {
        match &mut self.parameters[parameter.0].gradient {
            Some(Gradient::Sources { scale, .. }) => *scale *= factor,
            _ => panic!("`{}` has no sources", self.parameters[parameter.0].name),
        }
    }

    /// Sets the gradient of a parameter that has none yet.
    pub(super) fn begin_gradient(&mut self, parameter: Parameter, gradient: Gradient) {
        let info = &mut self.parameters[parameter.0];
        let before = info.gradient.replace(gradient);
        assert!(before.is_none(), "`{}` has a gradient already", info.name);
    }

    /// The values of a gradient sparse by rows. The caller writes all of them.
    pub(super) fn sparse_gradient(
        &mut self,
        parameter: Parameter,
        rows: Slice,
        capacity: usize,
    ) -> Slice {
        let width = self.parameters[parameter.0].width;
        assert!(self.micro_batch.is_none(), "a micro-batch has sources");
        let values = self.gradient_tensor(parameter, capacity, width);
        self.begin_gradient(
            parameter,
            Gradient::Rows {
                rows,
                values,
                capacity,
            },
        );
        values
    }

    /// Leaves rows of a gradient to a later operation, which appends its own rows and sums all of them by row.
    pub(super) fn share_sources(&mut self, parameter: Parameter, sources: SharedSources) {
        self.parameters[parameter.0].sources = Some(sources);
    }

    /// The rows that [`Graph::share_sources`] left.
    pub(super) fn take_sources(&mut self, parameter: Parameter) -> Option<SharedSources> {
        self.parameters[parameter.0].sources.take()
    }

    pub(super) fn gradient_tensor(
        &mut self,
        parameter: Parameter,
        rows: usize,
        width: usize,
    ) -> Slice {
        let name = names::gradient(&self.parameters[parameter.0].name);
        if self.keep_gradients {
            self.builder
                .persistent(Role::Gradient, &name, [rows, width])
        } else {
            self.builder.activation(&name, [rows, width])
        }
    }

    /// The gradient of a value, after every operation that uses it has contributed. A backward rule may overwrite it.
    ///
    /// # Panics
    ///
    /// If none has.
    pub fn gradient(&self, value: Value) -> Slice {
        match self.values[value.0] {
            ValueInfo {
                gradient: Some(slice),
                written: true,
                ..
            } => slice,
            _ => panic!("no operation has written the gradient of value {}", value.0),
        }
    }

    /// Where to write a contribution to the gradient of a value, and whether to add to the existing contents.
    pub fn contribute(&mut self, value: Value) -> (Slice, bool) {
        let ValueInfo {
            rows,
            width,
            gradient,
            written,
            ..
        } = self.values[value.0];
        let slice = match gradient {
            Some(slice) => slice,
            None => self
                .builder
                .stored(&names::gradient_of_value(value.0), [rows, width]),
        };
        let info = &mut self.values[value.0];
        info.gradient = Some(slice);
        info.written = true;
        (slice, written)
    }

    /// Has the gradient of a value written to `slice`, which another operation reads.
    pub(super) fn set_value_gradient(&mut self, value: Value, slice: Slice) {
        let info = &mut self.values[value.0];
        assert!(
            info.gradient.is_none(),
            "the gradient of value {} has a slice already",
            value.0
        );
        assert_eq!(
            slice.len, info.data.len,
            "size of the gradient of value {}",
            value.0
        );
        info.gradient = Some(slice);
    }

    /// Copies a kept gradient to the persistent tensor `to` in `f16`, for its transfer to other devices.
    pub fn narrow(&mut self, from: &str, to: &str, rows: usize, width: usize) {
        let from = self.builder.kept(from);
        let to = self
            .builder
            .persistent_half(Role::Gradient, to, [rows, width]);
        let params = copy::Params {
            len: from.len as u32,
        };
        self.builder
            .step("narrow a gradient", &copy::KERNEL, &params, &[from, to]);
        // So that the transfer begins while the backward pass continues.
        self.builder.advance(from);
    }

    /// Copies a gradient `[rows, width]` from the persistent tensor `from` in `f16`.
    pub fn widen(&mut self, from: &str, to: Slice, rows: usize, width: usize) {
        let from = self
            .builder
            .persistent_half(Role::Gradient, from, [rows, width]);
        let params = copy::Params {
            len: from.len as u32,
        };
        self.builder
            .step("widen a gradient", &copy::KERNEL, &params, &[from, to]);
    }
}
