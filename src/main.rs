//! The `loggia` command: read arguments, do what they ask, tell the shell how it went.

use std::process::ExitCode;

use loggia::cli::{self, Arguments, Exit};
use loggia::settings::load::Environment;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(message) => {
            let exit = if message.use_stderr() { Exit::Usage } else { Exit::Done };
            // Nobody is left to be told when even this cannot be printed.
            let _ = message.print();
            return exit.into();
        }
    };
    cli::end(|| arguments.run(&environment(), &mut std::io::stdout().lock())).into()
}

/// The variables of the process; what is not Unicode cannot be a setting of ours.
fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
