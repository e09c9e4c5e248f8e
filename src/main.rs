//! The program.

use std::process::ExitCode;

fn main() -> ExitCode {
    quieten_mesa();
    wlstm::cli::main()
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
