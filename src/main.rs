//! The program.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wlstm::error::Kind;

#[global_allocator]
static ALLOCATOR: EndsProgram = EndsProgram;

fn main() -> ExitCode {
    quieten_mesa();
    explain_threads_without_memory();
    let _ = keep_running_at_file_limit();
    wlstm::cli::main()
}

/// At the limit on the size of files, lets a write fail with an error. Without a handler, SIGXFSZ ends the program.
fn keep_running_at_file_limit() -> std::io::Result<()> {
    #[cfg(unix)]
    signal_hook::flag::register(
        signal_hook::consts::SIGXFSZ,
        Arc::new(AtomicBool::new(false)),
    )?;
    Ok(())
}

/// Ends the program as [`EndsProgram`] does if the standard library cannot allocate the memory for a new thread. The standard
/// library then panics in the new thread, before any code of this program runs in it.
fn explain_threads_without_memory() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        if text.starts_with("failed to allocate an alternative stack") {
            end(format_args!("the stack of a thread"));
        }
        others(panic);
    }));
}

/// Keeps Mesa from printing an error where there is no graphical session: its device-select layer connects to the display of a
/// desktop, which this program does not need. A user who sets up that layer keeps it.
fn quieten_mesa() {
    let given = |name| std::env::var_os(name).is_some();
    if cfg!(unix) && !given("XDG_RUNTIME_DIR") && !given("MESA_VK_DEVICE_SELECT") {
        #[allow(
            unsafe_code,
            reason = "the Vulkan loader reads this setting only from the environment"
        )]
        // SAFETY: `main` calls this first, while no other thread can read the environment.
        unsafe {
            std::env::set_var("NODEVICE_SELECT", "1");
        }
    }
}

/// The exit code of [`Kind::Device`].
const OUT_OF_MEMORY: u8 = Kind::Device.exit_code();

/// The system allocator, except that the program ends with an error message and the exit code for memory when an allocation
/// fails, and not with a signal. Saved files are not damaged, because files are written atomically.
struct EndsProgram;

#[allow(unsafe_code, reason = "an allocator is an unsafe interface")]
// SAFETY: every method returns what the allocator of the system returns for the same arguments, or does not return.
unsafe impl GlobalAlloc for EndsProgram {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        given(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the same.
        given(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `realloc`, which is the same.
        given(unsafe { System.realloc(old, layout, size) }, size)
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, which is the same.
        unsafe { System.dealloc(old, layout) }
    }
}

#[inline]
fn given(memory: *mut u8, size: usize) -> *mut u8 {
    if memory.is_null() {
        end(format_args!("{size} bytes"));
    }
    memory
}

/// Ends the program. Allocates nothing, and takes no lock that another thread can hold.
#[cold]
fn end(what: std::fmt::Arguments<'_>) -> ! {
    static ENDING: AtomicBool = AtomicBool::new(false);
    if !ENDING.swap(true, Ordering::SeqCst) {
        let mut text = [0; 200];
        let mut left = &mut text[..];
        let _ = write!(
            left,
            "error: out of memory: cannot allocate {what}\n  help: make the model, the batch or the vocabulary smaller, or \
             raise the limit on memory (`ulimit -v`)\n"
        );
        let unused = left.len();
        let used = text.len() - unused;
        print(&text[..used]);
    } else {
        // Another thread is printing, and then ends the program.
        std::thread::sleep(Duration::from_secs(1));
    }
    signal_hook::low_level::exit(OUT_OF_MEMORY.into());
}

/// Writes to standard error without the lock of [`std::io::stderr`].
fn print(text: &[u8]) {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let copy = std::io::stderr().as_fd().try_clone_to_owned();
        if let Ok(copy) = copy {
            let _ = std::fs::File::from(copy).write_all(text);
        }
    }
    #[cfg(not(unix))]
    let _ = std::io::stderr().write_all(text);
}
