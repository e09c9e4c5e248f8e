//! Tables on the host, and the exchange of rows with devices.
//!
//! An *exchange* runs before each step: rows that leave are read from their slots, then rows that the step
//! needs are written there. It is a separate plan ([`exchange_plan`](super::exchange_plan)), so that evicted
//! rows travel to the host while the step computes; the next exchange may need them. [`Slots`](super::Slots)
//! decides ahead which rows move.

use super::exchange::{EVICT, LOAD};
use super::slots::Moves;
use crate::config::Config;
use crate::device::{Data, Executor, Inputs, Pages, PlanId};
use crate::error::Result;
use crate::kernels::softmax::IGNORE;
use crate::model::language_model::Division;
use crate::model::tables::{Cache, TableTensor, caches, tensors};
use crate::team;
use crate::tensor::names::{incoming_rows, outgoing_rows};

/// A slot without a row.
const EMPTY: u32 = u32::MAX;
/// Elements of rows that a thread copies at once.
const TASK: usize = 1 << 14;
/// Elements of slots that are read at once.
const PIECE: usize = 1 << 22;

/// A table, or a state of the optimizer with the shape of one.
struct Store {
    tensor: TableTensor,
    /// All its rows.
    rows: Pages<f32>,
}

/// The tables of a model in host memory, with their optimizer state, and which of their rows devices hold. Empty if the
/// model has its tables on the device.
#[derive(Default)]
pub struct HostTables {
    stores: Vec<Store>,
    caches: Vec<Cache>,
    /// The id of the row in each slot of each cache.
    ids: Vec<Vec<u32>>,
    /// The plan of the exchange, for each device.
    exchange: Vec<PlanId>,
    /// The moves of the last exchange, until the rows that it evicts have arrived.
    leaving: Option<Vec<Moves>>,
    buffer: Vec<f32>,
}

impl HostTables {
    /// Zero tables and optimizer state.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the host is out of memory.
    pub fn for_training(
        config: &Config,
        vocabulary: usize,
        division: Division,
    ) -> Result<HostTables> {
        let tensors = tensors(config, vocabulary);
        HostTables::new(caches(config, vocabulary, division), tensors, vocabulary)
    }

    /// Zero tables without optimizer state.
    ///
    /// # Errors
    ///
    /// Same as [`HostTables::for_training`].
    pub fn for_inference(config: &Config, vocabulary: usize) -> Result<HostTables> {
        let mut tensors = tensors(config, vocabulary);
        tensors.retain(|tensor| tensor.is_parameter);
        let caches = caches(config, vocabulary, Division::WHOLE);
        HostTables::new(caches, tensors, vocabulary)
    }

    fn new(caches: Vec<Cache>, tensors: Vec<TableTensor>, vocabulary: usize) -> Result<HostTables> {
        if caches.is_empty() {
            return Ok(HostTables::default());
        }
        let mut stores = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            let rows = Pages::zeros(vocabulary * tensor.width, &tensor.name)?;
            stores.push(Store { tensor, rows });
        }
        let empty = |cache: &Cache| vec![EMPTY; cache.slots];
        Ok(HostTables {
            stores,
            ids: caches.iter().map(empty).collect(),
            caches,
            exchange: Vec::new(),
            leaving: None,
            buffer: Vec::new(),
        })
    }

    /// Adds the next device's plan of the exchange.
    pub fn add_exchange(&mut self, plan: PlanId) {
        self.exchange.push(plan);
    }

    /// Whether the model has its tables on the device.
    pub fn is_empty(&self) -> bool {
        self.stores.is_empty()
    }

    /// Whether a tensor is on the host.
    pub fn has(&self, name: &str) -> bool {
        self.stores.iter().any(|store| store.tensor.name == name)
    }

    /// All rows of a table, as of the last [`HostTables::sync`].
    ///
    /// # Panics
    ///
    /// If the tensor is not on the host.
    pub fn rows(&self, name: &str) -> &[f32] {
        let mut stores = self.stores.iter();
        let store = stores.find(|store| store.tensor.name == name);
        let store = store.unwrap_or_else(|| panic!("no table `{name}` on the host"));
        &store.rows
    }

    /// Writes elements of a tensor from `start` on. Only before the first exchange: slots are not updated.
    ///
    /// # Panics
    ///
    /// If the tensor is not on the host.
    pub fn write(&mut self, name: &str, start: usize, values: &[f32]) {
        let mut stores = self.stores.iter_mut();
        let store = stores.find(|store| store.tensor.name == name);
        let store = store.unwrap_or_else(|| panic!("no table `{name}` on the host"));
        store.rows[start..start + values.len()].copy_from_slice(values);
    }

    /// Reads elements of a tensor from `start` on, as of the last [`HostTables::sync`].
    ///
    /// # Panics
    ///
    /// If the tensor is not on the host.
    pub fn read(&self, name: &str, start: usize, values: &mut [f32]) {
        values.copy_from_slice(&self.rows(name)[start..start + values.len()]);
    }

    /// Moves the rows of the next step into their slots on all devices. Starts one run on each, which has no outputs.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if a device is lost.
    pub fn exchange(
        &mut self,
        executors: &mut [Box<dyn Executor>],
        moves: Vec<Moves>,
    ) -> Result<()> {
        // All devices have the same rows in the same slots: the first one sends those that leave.
        self.receive(&mut *executors[0])?;
        let inputs = self.exchange_inputs(&moves);
        for Store { tensor, rows } in &self.stores {
            let (width, load) = (tensor.width, &moves[tensor.cache].load);
            self.buffer.resize(load.len() * width, 0.0);
            let each = 1.max(TASK / width);
            team::chunks(&mut self.buffer, each * width, |k, part| {
                for (row, (_, id)) in part.chunks_exact_mut(width).zip(&load[k * each..]) {
                    row.copy_from_slice(&rows[*id as usize * width..][..width]);
                }
            });
            for executor in &mut *executors {
                executor.send(&incoming_rows(&tensor.name), &self.buffer)?;
            }
        }
        // If a device is lost, the others complete the exchange.
        let mut lost = None;
        for (executor, plan) in executors.iter_mut().zip(&self.exchange) {
            lost = executor.run(*plan, &inputs).err().or(lost);
        }
        if lost.is_none() {
            lost = self.start_reads(&mut *executors[0], &moves).err();
        }
        for (ids, moves) in self.ids.iter_mut().zip(&moves) {
            for (slot, id) in &moves.load {
                ids[*slot as usize] = *id;
            }
        }
        self.leaving = Some(moves);
        lost.map_or(Ok(()), Err)
    }

    /// The inputs of an exchange: the slots of each cache that rows leave and are loaded into.
    fn exchange_inputs(&self, moves: &[Moves]) -> Inputs {
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
        inputs
    }

    /// Starts to read the rows that the last exchange evicts.
    fn start_reads(&self, executor: &mut dyn Executor, moves: &[Moves]) -> Result<()> {
        self.stores.iter().try_for_each(|Store { tensor, .. }| {
            let rows = moves[tensor.cache].evict.len();
            executor.start_read(&outgoing_rows(&tensor.name), rows * tensor.width)
        })
    }

    /// After the first device was lost: starts to read the rows that leave from another one, which has the same rows in the same
    /// slots.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if that device is lost too.
    pub fn resend(&mut self, executor: &mut dyn Executor) -> Result<()> {
        match &self.leaving {
            Some(moves) => self.start_reads(executor, moves),
            None => Ok(()),
        }
    }

    /// Waits for the rows that the last exchange evicts, and writes them to the tables.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn receive(&mut self, executor: &mut dyn Executor) -> Result<()> {
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

    /// Marks all slots as empty. No exchange may follow.
    pub fn forget_slots(&mut self) {
        self.ids.iter_mut().for_each(|ids| ids.fill(EMPTY));
    }

    /// Updates the tables with all rows that are in slots, as of the steps so far. The rows stay in their slots.
    ///
    /// # Errors
    ///
    /// [`Kind::Device`](crate::error::Kind::Device) if the device is lost.
    pub fn sync(&mut self, executor: &mut dyn Executor) -> Result<()> {
        self.receive(executor)?;
        for Store { tensor, rows } in &mut self.stores {
            let (width, ids) = (tensor.width, &self.ids[tensor.cache]);
            if ids.iter().all(|&id| id == EMPTY) {
                continue;
            }
            let slots = (PIECE / width).max(1);
            for (k, ids) in ids.chunks(slots).enumerate() {
                self.buffer.resize(ids.len() * width, 0.0);
                executor.read_part(&tensor.name, k * slots * width, &mut self.buffer)?;
                let occupied = self.buffer.chunks_exact(width).zip(ids);
                for (row, &id) in occupied.filter(|(_, id)| **id != EMPTY) {
                    rows[id as usize * width..][..width].copy_from_slice(row);
                }
            }
        }
        Ok(())
    }
}
