//! Tables on the host: embedding, softmax weights and bias, with the state of their optimizer. The device has slots for some of
//! their rows, and only rows that a step needs and no slot has travel.
//!
//! Before a step runs an *exchange*: rows that go home are gathered from their slots, then those that come are put there. It is a
//! plan of its own, submitted before the step, so that the rows that went home are on the host while the step computes; the next
//! exchange may need them. Which rows travel is decided ahead, in [`Slots`](super::slots::Slots).

use super::slots::Moves;
use crate::config::Config;
use crate::device::{Data, Executor, Inputs, Pages, PlanId};
use crate::error::Result;
use crate::graph::builder::Builder;
use crate::graph::memory::Limits;
use crate::graph::plan::Plan;
use crate::graph::plan::Role;
use crate::kernels::embedding::{gather, scatter_rows};
use crate::kernels::softmax::IGNORE;
use crate::model::language_model::Division;
use crate::model::tables::{Cache, Tensor, caches, tensors};
use crate::team;
use crate::tensor::names::{incoming_rows, outgoing_rows};

/// The inputs of the exchange: slots whose rows go home, and slots for those that come, of every cache.
const EVICT: [&str; 2] = ["evict.0", "evict.1"];
const LOAD: [&str; 2] = ["load.0", "load.1"];

/// No slot has a row.
const EMPTY: u32 = u32::MAX;

/// A tensor on the host.
struct Store {
    tensor: Tensor,
    /// All its rows.
    rows: Pages<f32>,
}

/// See the module.
pub struct Tables {
    stores: Vec<Store>,
    caches: Vec<Cache>,
    /// The id of the row in each slot of each cache.
    ids: Vec<Vec<u32>>,
    /// The exchange, of every device.
    exchange: Vec<PlanId>,
    /// What the last exchange has sent home and is not there yet.
    leaving: Option<Vec<Moves>>,
    buffer: Vec<f32>,
}

impl Tables {
    /// Zero tables for a model with its tables on the host; none for others. Without `training` there is no state of an optimizer.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if there is no memory.
    pub fn new(
        config: &Config,
        vocabulary: usize,
        training: bool,
        division: Division,
    ) -> Result<Option<Tables>> {
        let caches = caches(config, vocabulary, division);
        if caches.is_empty() {
            return Ok(None);
        }
        let mut stores = Vec::new();
        for tensor in tensors(config, vocabulary) {
            if training || tensor.is_parameter {
                let rows = Pages::zeros(vocabulary * tensor.width, &tensor.name)?;
                stores.push(Store { tensor, rows });
            }
        }
        Ok(Some(Tables {
            stores,
            ids: caches
                .iter()
                .map(|cache| vec![EMPTY; cache.slots])
                .collect(),
            caches,
            exchange: Vec::new(),
            leaving: None,
            buffer: Vec::new(),
        }))
    }

    /// The plan of an exchange: see the module.
    pub fn exchange_plan(
        config: &Config,
        vocabulary: usize,
        limits: &Limits,
        division: Division,
    ) -> Plan {
        let caches = caches(config, vocabulary, division);
        let mut builder = Builder::new("exchange", limits);
        let mut coming = Vec::new();
        for Tensor {
            name,
            width,
            cache,
            is_parameter,
        } in tensors(config, vocabulary)
        {
            let role = if is_parameter {
                Role::Parameter
            } else {
                Role::OptimizerState
            };
            let Cache { rows, slots } = caches[cache];
            let table = builder.persistent(role, &name, [slots, width]);
            let out = builder.persistent(Role::Transfer, &outgoing_rows(&name), [rows, width]);
            let evict = builder.index_input(EVICT[cache], [rows]);
            let params = gather::Params {
                rows: rows as u32,
                width: width as u32,
                base: 0,
                window: slots as u32,
            };
            builder.step(
                "rows that go",
                &gather::KERNEL,
                &params,
                &[table, evict, out],
            );
            coming.push((name, width, cache, table));
        }
        for (name, width, cache, table) in coming {
            let Cache { rows, slots } = caches[cache];
            let rows_in = builder.persistent(Role::Transfer, &incoming_rows(&name), [rows, width]);
            let load = builder.index_input(LOAD[cache], [rows]);
            let params = scatter_rows::Params {
                rows: rows as u32,
                width: width as u32,
                base: 0,
                window: slots as u32,
            };
            let slices = [rows_in, load, table];
            builder.step("rows that come", &scatter_rows::KERNEL, &params, &slices);
        }
        builder.finish()
    }

    /// Says which plan of the next executor is the exchange.
    pub fn loaded(&mut self, exchange: PlanId) {
        self.exchange.push(exchange);
    }

    /// Whether a tensor is here.
    pub fn has(&self, name: &str) -> bool {
        self.stores.iter().any(|store| store.tensor.name == name)
    }

    fn store(&mut self, name: &str) -> &mut Store {
        let mut stores = self.stores.iter_mut();
        let store = stores.find(|store| store.tensor.name == name);
        store.unwrap_or_else(|| panic!("no table `{name}` on the host"))
    }

    /// Writes elements of a tensor from `start` on. Only before the first exchange: what is in slots is not changed.
    pub fn write(&mut self, name: &str, start: usize, values: &[f32]) {
        self.store(name).rows[start..start + values.len()].copy_from_slice(values);
    }

    /// Reads elements of a tensor from `start` on, as they were at the last [`Tables::bring_home`].
    pub fn read(&mut self, name: &str, start: usize, values: &mut [f32]) {
        values.copy_from_slice(&self.store(name).rows[start..start + values.len()]);
    }

    /// All rows of a parameter, as they were at the last [`Tables::bring_home`].
    pub fn rows(&self, name: &str) -> &[f32] {
        let mut stores = self.stores.iter();
        let store = stores.find(|store| store.tensor.name == name);
        &store.expect("a table of the model").rows
    }

    /// Has the rows of the next step in their slots. Starts a run of the exchange, which has no outputs.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn exchange(
        &mut self,
        executors: &mut [Box<dyn Executor>],
        moves: Vec<Moves>,
    ) -> Result<()> {
        // All have the same rows in the same slots: one sends them home.
        self.arrive(&mut *executors[0])?;
        let mut inputs: Inputs = Vec::new();
        for (k, (moves, cache)) in moves.iter().zip(&self.caches).enumerate() {
            let slots = |list: &[(u32, u32)]| {
                let mut slots: Vec<u32> = list.iter().map(|(slot, _)| *slot).collect();
                slots.resize(cache.rows, IGNORE);
                Data::Index(slots)
            };
            inputs.push((EVICT[k], slots(&moves.evict)));
            inputs.push((LOAD[k], slots(&moves.load)));
        }
        for Store { tensor, rows } in &self.stores {
            let (width, load) = (tensor.width, &moves[tensor.cache].load);
            self.buffer.resize(load.len() * width, 0.0);
            let each = 1.max((1 << 14) / width);
            team::chunks(&mut self.buffer, each * width, |k, part| {
                for (row, (_, id)) in part.chunks_exact_mut(width).zip(&load[k * each..]) {
                    row.copy_from_slice(&rows[*id as usize * width..][..width]);
                }
            });
            for executor in &mut *executors {
                executor.send(&incoming_rows(&tensor.name), &self.buffer)?;
            }
        }
        // If a device is lost in the midst of it, the others go through with it.
        let mut lost = None;
        for (executor, plan) in executors.iter_mut().zip(&self.exchange) {
            lost = executor.run(*plan, &inputs).err().or(lost);
        }
        if lost.is_none() {
            lost = self.depart(&mut *executors[0], &moves).err();
        }
        for (ids, moves) in self.ids.iter_mut().zip(&moves) {
            for (slot, id) in &moves.load {
                ids[*slot as usize] = *id;
            }
        }
        self.leaving = Some(moves);
        lost.map_or(Ok(()), Err)
    }

    /// Begins to read the rows that the last exchange sends home.
    fn depart(&self, executor: &mut dyn Executor, moves: &[Moves]) -> Result<()> {
        self.stores.iter().try_for_each(|Store { tensor, .. }| {
            let rows = moves[tensor.cache].evict.len();
            executor.start_read(&outgoing_rows(&tensor.name), rows * tensor.width)
        })
    }

    /// Takes another device for the one that is lost: it has the same rows in the same slots.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if that one is lost too.
    pub fn depart_again(&mut self, executor: &mut dyn Executor) -> Result<()> {
        match &self.leaving {
            Some(moves) => self.depart(executor, moves),
            None => Ok(()),
        }
    }

    /// Waits for the rows that the last exchange has sent home, and puts them in their places.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn arrive(&mut self, executor: &mut dyn Executor) -> Result<()> {
        let Some(moves) = &self.leaving else {
            return Ok(());
        };
        for Store { tensor, rows } in &mut self.stores {
            self.buffer.clear();
            executor.finish_read(&mut self.buffer)?;
            let width = tensor.width;
            let evicted = moves[tensor.cache].evict.iter();
            for (row, (_, id)) in self.buffer.chunks_exact(width).zip(evicted) {
                rows[*id as usize * width..][..width].copy_from_slice(row);
            }
        }
        self.leaving = None;
        Ok(())
    }

    /// Copies all rows that are in slots to the host, after the steps so far; they stay in their slots too.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn bring_home(&mut self, executor: &mut dyn Executor) -> Result<()> {
        self.arrive(executor)?;
        for Store { tensor, rows } in &mut self.stores {
            let (width, ids) = (tensor.width, &self.ids[tensor.cache]);
            if ids.iter().all(|&id| id == EMPTY) {
                continue;
            }
            /// The elements that are read at once.
            const PART: usize = 1 << 22;
            let slots = (PART / width).max(1);
            for (k, ids) in ids.chunks(slots).enumerate() {
                self.buffer.resize(ids.len() * width, 0.0);
                executor.read_part(&tensor.name, k * slots * width, &mut self.buffer)?;
                let there = self.buffer.chunks_exact(width).zip(ids);
                for (row, &id) in there.filter(|(_, id)| **id != EMPTY) {
                    rows[id as usize * width..][..width].copy_from_slice(row);
                }
            }
        }
        Ok(())
    }
}
