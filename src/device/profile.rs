//! How long each dispatch of a plan takes on a GPU: a pass of its own for each, with timestamps where the device has them,
//! else submitted and waited for one by one.

use std::time::Instant;

use super::faults::wait;
use super::gpu::{arrived, map, read_words};
use super::loaded::Loaded;
use super::memory::buffer;
use super::{Profile, ProfileClock};
use crate::device::faults::Faults;
use crate::error::Result;

/// The dispatches whose timestamps fit one set: WebGPU allows 4,096 queries.
const SET: usize = 2048;

/// Bytes of a timestamp.
const STAMP: u64 = 8;

/// Runs the loaded plan once, its inputs written before, and times every dispatch.
pub(super) fn profile(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    faults: &Faults,
    loaded: &Loaded,
) -> Result<Profile> {
    if device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
        by_device(device, queue, faults, loaded)
    } else {
        by_host(device, queue, loaded)
    }
}

fn by_device(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    faults: &Faults,
    loaded: &Loaded,
) -> Result<Profile> {
    let nanoseconds = f64::from(queue.get_timestamp_period());
    let mut seconds = Vec::with_capacity(loaded.dispatches());
    for first in (0..loaded.dispatches()).step_by(SET) {
        let count = SET.min(loaded.dispatches() - first);
        let bytes = 2 * count as u64 * STAMP;
        let set = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("profile"),
            ty: wgpu::QueryType::Timestamp,
            count: 2 * count as u32,
        });
        let what = || "the timestamps of a profile".to_owned();
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = buffer(device, &what, bytes, usage)?;
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let readable = buffer(device, &what, bytes, usage)?;
        let mut encoder = device.create_command_encoder(&Default::default());
        for k in 0..count {
            let stamps = wgpu::ComputePassTimestampWrites {
                query_set: &set,
                beginning_of_pass_write_index: Some(2 * k as u32),
                end_of_pass_write_index: Some(2 * k as u32 + 1),
            };
            loaded.encode_one(&mut encoder, first + k, Some(stamps));
        }
        encoder.resolve_query_set(&set, 0..2 * count as u32, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &readable, 0, bytes);
        let submission = queue.submit([encoder.finish()]);
        let mapped = map(&readable, ..bytes);
        wait(device, Some(submission))?;
        arrived(faults, &mapped)?;
        read_words(&readable, ..bytes, |words| {
            let stamps: &[u64] = bytemuck::cast_slice(words);
            let durations = stamps
                .chunks_exact(2)
                .map(|pair| pair[1].saturating_sub(pair[0]));
            seconds.extend(durations.map(|ticks| ticks as f64 * nanoseconds * 1e-9));
        })?;
    }
    Ok(Profile {
        seconds,
        kernels: loaded.kernels(),
        clock: ProfileClock::Device,
    })
}

fn by_host(device: &wgpu::Device, queue: &wgpu::Queue, loaded: &Loaded) -> Result<Profile> {
    let mut seconds = Vec::with_capacity(loaded.dispatches());
    for k in 0..loaded.dispatches() {
        let mut encoder = device.create_command_encoder(&Default::default());
        loaded.encode_one(&mut encoder, k, None);
        let commands = encoder.finish();
        let begin = Instant::now();
        let submission = queue.submit([commands]);
        wait(device, Some(submission))?;
        seconds.push(begin.elapsed().as_secs_f64());
    }
    Ok(Profile {
        seconds,
        kernels: loaded.kernels(),
        clock: ProfileClock::Host,
    })
}
