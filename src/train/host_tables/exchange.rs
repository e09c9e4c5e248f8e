//! The plan that moves rows between the host and the slots of a device.
//!
//! It gathers the rows that leave from their slots into tensors that the host reads, and then scatters rows
//! that the host has written into the slots.

use crate::config::Config;
use crate::graph::builder::Builder;
use crate::graph::memory::Limits;
use crate::graph::plan::{Plan, Role};
use crate::kernels::embedding::{gather, scatter_rows};
use crate::model::language_model::Division;
use crate::model::tables::{Cache, TableTensor, caches, tensors};
use crate::tensor::names::{incoming_rows, outgoing_rows};

/// The input with the slots of each cache whose rows leave.
pub(super) const EVICT: [&str; 2] = ["evict.0", "evict.1"];
/// The input with the slots of each cache that rows are loaded into.
pub(super) const LOAD: [&str; 2] = ["load.0", "load.1"];

/// The plan of an exchange.
pub fn exchange_plan(
    config: &Config,
    vocabulary: usize,
    limits: &Limits,
    division: Division,
) -> Plan {
    let caches = caches(config, vocabulary, division);
    let tensors = tensors(config, vocabulary);
    let mut builder = Builder::new("exchange", limits);
    let mut tables = Vec::with_capacity(tensors.len());
    for TableTensor {
        name,
        width,
        cache,
        is_parameter,
    } in &tensors
    {
        let role = if *is_parameter {
            Role::Parameter
        } else {
            Role::OptimizerState
        };
        let Cache { rows, slots } = caches[*cache];
        let table = builder.persistent(role, name, [slots, *width]);
        let out = builder.persistent(Role::Transfer, &outgoing_rows(name), [rows, *width]);
        let evict = builder.index_input(EVICT[*cache], [rows]);
        let params = gather::Params {
            rows: rows as u32,
            width: *width as u32,
            base: 0,
            window: slots as u32,
        };
        let slices = [table, evict, out];
        builder.step("evict rows", &gather::KERNEL, &params, &slices);
        tables.push(table);
    }
    for (
        TableTensor {
            name, width, cache, ..
        },
        table,
    ) in tensors.iter().zip(tables)
    {
        let Cache { rows, slots } = caches[*cache];
        let source = builder.persistent(Role::Transfer, &incoming_rows(name), [rows, *width]);
        let load = builder.index_input(LOAD[*cache], [rows]);
        let params = scatter_rows::Params {
            rows: rows as u32,
            width: *width as u32,
            base: 0,
            window: slots as u32,
        };
        let slices = [source, load, table];
        builder.step("load rows", &scatter_rows::KERNEL, &params, &slices);
    }
    builder.finish()
}
