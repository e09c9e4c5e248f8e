//! The time of each dispatch of a plan on a GPU. Each dispatch has its own pass, with timestamps if the device has them;
//! otherwise each is submitted and waited for alone.

use std::time::Instant;

use super::executor::{Profile, ProfileClock};
use super::handle::{Handle, map};
use super::loaded::Loaded;
use crate::error::Result;

/// Dispatches per query set: WebGPU allows 4,096 queries, two per dispatch.
const SET: usize = 2048;

/// The bytes of a timestamp.
const STAMP: u64 = 8;

/// Runs the loaded plan once and times every dispatch. The inputs must have been written.
pub(super) fn profile(handle: &Handle, loaded: &Loaded) -> Result<Profile> {
    let features = handle.device.features();
    if features.contains(wgpu::Features::TIMESTAMP_QUERY) {
        by_device(handle, loaded)
    } else {
        by_host(handle, loaded)
    }
}

/// Runs the loaded plan once, in one pass, and returns its seconds. The inputs must have been written.
pub(super) fn whole(handle: &Handle, loaded: &Loaded) -> Result<f64> {
    let all = 0..loaded.dispatches();
    if handle
        .device
        .features()
        .contains(wgpu::Features::TIMESTAMP_QUERY)
    {
        let seconds = stamped(handle, 1, |encoder, _, stamps| {
            loaded.encode(encoder, all.clone(), Some(stamps));
        })?;
        return Ok(seconds[0]);
    }
    let mut encoder = handle.encoder();
    loaded.encode(&mut encoder, all, None);
    submitted(handle, encoder)
}

/// The seconds from the submission of commands to their end.
fn submitted(handle: &Handle, encoder: wgpu::CommandEncoder) -> Result<f64> {
    let commands = encoder.finish();
    let begin = Instant::now();
    let submission = handle.queue.submit([commands]);
    handle.wait(submission)?;
    Ok(begin.elapsed().as_secs_f64())
}

/// Submits `count` passes, which `encode` encodes with the given timestamps. Returns the seconds of each.
fn stamped(
    handle: &Handle,
    count: usize,
    mut encode: impl FnMut(&mut wgpu::CommandEncoder, usize, wgpu::ComputePassTimestampWrites<'_>),
) -> Result<Vec<f64>> {
    let nanoseconds = f64::from(handle.queue.get_timestamp_period());
    let bytes = 2 * count as u64 * STAMP;
    let set = handle.device.create_query_set(&wgpu::QuerySetDescriptor {
        label: Some("profile"),
        ty: wgpu::QueryType::Timestamp,
        count: 2 * count as u32,
    });
    let what = || "the timestamps of a profile".to_owned();
    let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
    let resolved = handle.buffer(what, bytes, usage)?;
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
    let readable = handle.buffer(what, bytes, usage)?;
    let mut encoder = handle.encoder();
    for k in 0..count {
        let stamps = wgpu::ComputePassTimestampWrites {
            query_set: &set,
            beginning_of_pass_write_index: Some(2 * k as u32),
            end_of_pass_write_index: Some(2 * k as u32 + 1),
        };
        encode(&mut encoder, k, stamps);
    }
    encoder.resolve_query_set(&set, 0..2 * count as u32, &resolved, 0);
    encoder.copy_buffer_to_buffer(&resolved, 0, &readable, 0, bytes);
    let submission = handle.submit(encoder);
    let mapping = map(&readable, ..bytes);
    handle.wait(submission)?;
    handle.read_mapped(&readable, ..bytes, &mapping, |data| {
        let stamps: &[u64] = bytemuck::cast_slice(data);
        let durations = stamps
            .chunks_exact(2)
            .map(|pair| pair[1].saturating_sub(pair[0]));
        durations
            .map(|ticks| ticks as f64 * nanoseconds * 1e-9)
            .collect()
    })
}

fn by_device(handle: &Handle, loaded: &Loaded) -> Result<Profile> {
    let mut seconds = Vec::with_capacity(loaded.dispatches());
    for first in (0..loaded.dispatches()).step_by(SET) {
        let count = SET.min(loaded.dispatches() - first);
        seconds.extend(stamped(handle, count, |encoder, k, stamps| {
            loaded.encode_one(encoder, first + k, Some(stamps));
        })?);
    }
    Ok(Profile {
        seconds,
        skipped: loaded.skipped(),
        kernels: loaded.kernels(),
        clock: ProfileClock::Device,
    })
}

fn by_host(handle: &Handle, loaded: &Loaded) -> Result<Profile> {
    let mut seconds = Vec::with_capacity(loaded.dispatches());
    for k in 0..loaded.dispatches() {
        let mut encoder = handle.encoder();
        loaded.encode_one(&mut encoder, k, None);
        seconds.push(submitted(handle, encoder)?);
    }
    Ok(Profile {
        seconds,
        skipped: loaded.skipped(),
        kernels: loaded.kernels(),
        clock: ProfileClock::Host,
    })
}
