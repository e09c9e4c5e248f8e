//! The processes of a distributed job, on one or several machines.

use crate::checkpoint::Checkpoint;
use crate::config::{Config, DataConfig, DeviceConfig};
use crate::corpus::{Corpus, Vocabulary};
use crate::digest::Fnv1a;
use crate::error::{Error, Result};
use crate::train::collective::{Collective, SingleProcess, all_gather_f64};
use crate::train::session::TrainingSession;

/// Connects this process to the other processes of its MPI job. A process that was not started by MPI trains alone.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) if this is one of several processes and the crate was built without the feature
/// `mpi`; [`Kind::Other`](crate::error::Kind::Other) if MPI cannot be started.
pub fn connect() -> Result<Box<dyn Collective>> {
    #[cfg(feature = "mpi")]
    if let Some(mpi) = crate::train::mpi::connect()? {
        return Ok(Box::new(mpi));
    }
    #[cfg(not(feature = "mpi"))]
    if std::env::var("OMPI_COMM_WORLD_SIZE").is_ok_and(|size| size != "1") {
        return Err(Error::usage(
            "this is one of several processes of an MPI job, but this program was built without MPI",
        )
        .help("build it with `cargo build --release --features mpi`, or start it without mpirun"));
    }
    Ok(Box::new(SingleProcess))
}

/// This process among the processes of the job on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalProcess {
    /// Its local rank, from 0.
    pub rank: usize,
    /// The number of these processes.
    pub count: usize,
}

impl LocalProcess {
    /// This process.
    pub fn current() -> LocalProcess {
        #[cfg(feature = "mpi")]
        let (rank, count) = crate::train::mpi::rank_here();
        #[cfg(not(feature = "mpi"))]
        let (rank, count) = (0, 1);
        LocalProcess { rank, count }
    }
}

/// The properties that all processes of a job must share.
pub(super) struct Facts<'a> {
    pub config: &'a Config,
    pub corpus: &'a Corpus,
    pub vocabulary: &'a Vocabulary,
    /// The checkpoint that the run starts from.
    pub start: Option<&'a Checkpoint>,
    /// The number of devices of this process.
    pub devices: usize,
    pub validates: bool,
}

/// Checks that all processes train the same model from the same start on the same text, with the same number of devices. Paths
/// of files may differ. Collective.
pub(super) fn check_same_job(collective: &mut dyn Collective, own: &Facts<'_>) -> Result<()> {
    if collective.ranks() == 1 {
        return Ok(());
    }
    let config = shared_part(own.config);
    let digest = |bytes: &[u8]| Fnv1a::of(bytes.iter().copied()).value();
    let facts = [
        ("version", digest(env!("CARGO_PKG_VERSION").as_bytes())),
        ("configuration", digest(config.to_toml().as_bytes())),
        ("training text", own.corpus.digest()),
        ("vocabulary", digest(&own.vocabulary.to_bytes())),
        (
            "checkpoint to start from",
            own.start.map_or(0, Checkpoint::fingerprint),
        ),
        ("number of devices", own.devices as u64),
        // Only rank 0 validates, but all ranks wait for its result.
        ("`data.valid` (given or empty)", u64::from(own.validates)),
    ];
    // An f64 represents each 32-bit half of a u64 exactly.
    let halves = facts
        .iter()
        .flat_map(|(_, fact)| [fact >> 32, fact & 0xffff_ffff]);
    let own: Vec<f64> = halves.map(|half| half as f64).collect();
    let all = all_gather_f64(collective, &own)?;
    for (rank, facts_of_rank) in all.chunks_exact(own.len()).enumerate() {
        let halves = facts_of_rank.chunks_exact(2).zip(all.chunks_exact(2));
        let different = halves
            .zip(&facts)
            .find(|((of_rank, of_root), _)| of_rank != of_root);
        if let Some((_, (what, _))) = different {
            return Err(Error::usage(format!(
                "process {rank} of the job has another {what} than process 0"
            ))
            .help("give all processes the same program, configuration, text, checkpoint (--resume and --init) and number of devices")
            .shared(collective.is_root()));
        }
    }
    Ok(())
}

/// The configuration without the keys in which the processes of a job may differ: paths of files, and how each uses its
/// devices.
fn shared_part(config: &Config) -> Config {
    let mut config = config.clone();
    let DataConfig {
        train,
        valid,
        test,
        vocab,
        order: _,
        tokens: _,
        normalization: _,
        vocab_size: _,
        min_count: _,
        shuffle: _,
        valid_share: _,
        valid_choice: _,
    } = &mut config.data;
    (*train, *valid, *test, *vocab) = (Vec::new(), Vec::new(), Vec::new(), None);
    let DeviceConfig {
        max_binding,
        table_rows,
    } = &mut config.device;
    (*max_binding, *table_rows) = (0, 0);
    config
}

/// A warning if `mpirun` would end the job before a checkpoint can be written after Ctrl-C or SIGTERM.
pub(super) fn too_little_time(session: &TrainingSession) -> Option<String> {
    #[cfg(feature = "mpi")]
    {
        /// The assumed write speed of a disk, in bytes per second.
        const SPEED: f64 = 5e8;
        let bytes = session.checkpoint_bytes();
        let grace = crate::train::mpi::grace()?;
        (bytes as f64 > grace * SPEED / 2.0).then(|| {
            let bytes = crate::numbers::bytes(bytes);
            format!(
                "Writing a checkpoint of {bytes} may take longer than the {grace} s that mpirun allows after Ctrl-C. Stop this job with \
                 SIGUSR1 to mpirun, or start it with --mca odls_base_sigkill_timeout 60."
            )
        })
    }
    #[cfg(not(feature = "mpi"))]
    {
        let _ = session;
        None
    }
}
