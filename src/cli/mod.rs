//! The commands, one file each, and the exit codes that scripts can rely on.

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::Settings;
use crate::settings::load::{Environment, Report};
use crate::settings::problem::{Key, Problem};

mod check;
mod open_files;
mod probe;
mod purge;
mod serve;
mod warm;

const EXAMPLES: &str = "\
Examples:
  loggia serve --config museum.toml    Serve what the settings name, and print the addresses to open
  loggia check --config museum.toml    Say what is wrong with the settings, or what they add up to
  loggia probe maps a                  Ask the source `maps` for one item; print its record and manifest
  loggia warm maps                     Make the pyramids of all items of `maps` before anybody asks for them
  loggia warm dam --list new --rate 5  Those of the items in the file `new`, with five requests a second
  loggia purge maps a                  Drop all that is kept of one item, in a gateway that runs and everywhere
  LOGGIA__LOG__LEVEL=debug loggia ...  Override one key: LOGGIA__SECTION__KEY=VALUE

Exit codes:
   0  done
   1  something else went wrong; `probe`: there is no such item; `warm`: not everything could be made
  64  the command line is wrong; `probe`, `purge`, `warm`: there is no such source
  69  a source does not answer, or not as its adapter expects; `purge`: something is still kept somewhere
  70  a fault of the gateway itself
  71  `serve`: the address cannot be listened on, another process may have it
  78  the settings are wrong; every mistake is printed with its place
 130  `warm`: interrupted; the next run goes on where this one was";

/// Stand in front of an asset-management system or repository and make it speak IIIF.
#[derive(Debug, Parser)]
#[command(name = "loggia", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve IIIF for the sources that the settings name
    Serve(serve::Serve),
    /// Ask a source for one item, print the mapped record and the manifest
    Probe(probe::Probe),
    /// Make pyramids and read headers of a source ahead of time
    Warm(warm::Warm),
    /// Drop all that is kept of a source or of one item, everywhere
    Purge(purge::Purge),
    /// Read the settings and say everything that is wrong with them, without touching the network
    Check(check::Check),
}

/// Which settings a command works with.
#[derive(Debug, clap::Args)]
struct Config {
    /// The settings file
    #[arg(
        long = "config",
        short = 'c',
        env = "LOGGIA_CONFIG",
        value_name = "FILE",
        default_value = "loggia.toml"
    )]
    file: PathBuf,
}

/// How a command ends, for the shell: the numbers of `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// None of the others.
    Other = 1,
    /// The command line is wrong.
    Usage = 64,
    /// A source does not answer, or not as its adapter expects.
    Unavailable = 69,
    /// A fault of the gateway itself.
    Internal = 70,
    /// The address cannot be listened on.
    Address = 71,
    /// The settings are wrong.
    Settings = 78,
    /// Told to stop before it was done, as shells say it of Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The settings are wrong.
    #[error("{0}")]
    Settings(#[from] Report),
    /// The command line names something that is not there.
    #[error("{0}")]
    Usage(String),
    /// A source does not answer, or not as its adapter expects.
    #[error("{0}")]
    Source(String),
    /// The system refused something.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// The address cannot be listened on.
    #[error("{0}")]
    Address(String),
    /// Told to stop before it was done.
    #[error("{0}")]
    Interrupted(String),
    /// Whatever else went wrong, with its causes.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    fn other(error: impl Into<anyhow::Error>) -> Self {
        Self::Other(chain(error))
    }

    /// What the shell is told.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Settings(_) => Exit::Settings,
            Self::Usage(_) => Exit::Usage,
            Self::Source(_) => Exit::Unavailable,
            Self::Address(_) => Exit::Address,
            Self::Interrupted(_) => Exit::Interrupted,
            Self::System(_) | Self::Other(_) => Exit::Other,
        }
    }
}

/// An error with its causes.
fn chain(error: impl Into<anyhow::Error>) -> String {
    let mut told = String::new();
    for cause in error.into().chain().map(ToString::to_string) {
        match told.as_str() {
            "" => told = cause,
            // Some say themselves what caused them.
            already if already.ends_with(&cause) => {}
            _ => told += &format!(": {cause}"),
        }
    }
    told
}

impl Arguments {
    /// Reads a command line. What is returned instead is to be printed: help, the version, or what is wrong.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(words)
    }

    /// Does what was asked.
    pub fn run(&self, environment: &Environment, out: &mut impl Write) -> Result<(), Failure> {
        match &self.command {
            Command::Serve(serve) => serve.run(environment, out),
            Command::Probe(probe) => probe.run(environment, out),
            Command::Warm(warm) => warm.run(environment, out),
            Command::Purge(purge) => purge.run(environment, out),
            Command::Check(check) => check.run(environment, out),
        }
    }
}

/// Runs a command to its end: what went wrong goes to standard error, and the shell gets a number.
///
/// A panic is a fault of the gateway: its words are on standard error already, the number is
/// [`Exit::Internal`]. A panic of one request does not come here; that request gets a 500.
pub fn end(command: impl FnOnce() -> Result<(), Failure>) -> Exit {
    match panic::catch_unwind(AssertUnwindSafe(command)) {
        Ok(Ok(())) => Exit::Done,
        // Whoever reads no further has what they wanted.
        Ok(Err(Failure::System(error))) if error.kind() == ErrorKind::BrokenPipe => Exit::Done,
        Ok(Err(failure)) => {
            // A closed standard error changes nothing about how it went.
            let _ = writeln!(std::io::stderr(), "{failure}");
            failure.exit()
        }
        Err(_) => Exit::Internal,
    }
}

/// Holds the name of a source against the settings.
fn find_source(settings: &Settings, name: &str) -> Result<(), Failure> {
    if settings.sources.contains_key(name) {
        return Ok(());
    }
    let names: Vec<&str> = settings.sources.keys().map(String::as_str).collect();
    let unknown = Problem::unlisted(Key::default(), "source", name, &names);
    Err(Failure::Usage(unknown.paragraph()))
}

/// Where commands wait for the network.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// The settings in a file, held to all rules, without any environment.
pub fn load(file: &Path) -> Result<Settings, Report> {
    Settings::load(file, &Environment::new())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::store::StoreError;

    #[test]
    fn every_end_has_its_number() {
        assert_eq!(end(|| Ok(())), Exit::Done);
        assert_eq!(end(|| Err(Failure::Source("away".to_owned()))), Exit::Unavailable);
        assert_eq!(end(|| panic!("a test wants to see what becomes of this")), Exit::Internal);
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = std::io::Error::other("the disk is gone");
        let error = StoreError::Io { doing: "write", path: "cache".into(), source: cause };
        assert_eq!(Failure::other(error).to_string(), "cannot write `cache`: the disk is gone");
        let error = anyhow::Error::from(std::io::Error::other("in use")).context("cannot listen");
        assert_eq!(Failure::other(error).to_string(), "cannot listen: in use");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
