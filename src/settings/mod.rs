//! All settings in one struct: composed of the modules' own, read by [`load`], held to rules by [`check`].

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;

pub mod check;
mod document;
mod fault;
pub mod image;
pub mod inputs;
pub mod load;
pub mod problem;
pub mod source;
mod value;

use check::Adapters;
use image::ImageSettings;
use load::{Environment, Report};
use source::Source;

use crate::units::Bytes;

/// A whole settings file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the gateway listens and under which address others reach it.
    pub server: Server,
    /// What it tells about its work.
    pub log: Log,
    /// What it keeps.
    pub cache: Cache,
    /// What it may use.
    pub limits: Limits,
    /// How images are offered.
    pub image: ImageSettings,
    /// The systems behind it, in the order of the file.
    pub sources: IndexMap<String, Source>,
    /// The folder of the settings file: relative paths of sources begin here.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// `[server]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port to listen at.
    pub listen: SocketAddr,
    /// What every address in every document begins with; no slash at its end.
    pub public_url: String,
    /// A listener of its own for `/metrics` and `/admin`.
    pub admin: Option<SocketAddr>,
    /// Addresses and networks of proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<String>,
}

/// `[log]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// Which lines there are, e.g. `info` or `info,loggia::upstream=debug`.
    pub level: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For collectors: one object a line.
    Json,
}

/// `[cache]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Derivatives and originals lie here; created if missing. Starts at the working directory.
    pub dir: PathBuf,
    /// The most memory for finished answers.
    pub memory: Bytes,
    /// The most disk.
    pub disk: Bytes,
}

/// `[limits]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The most memory for pixels in work.
    pub memory: Bytes,
}

impl Default for Server {
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        Self { listen, public_url: format!("http://{listen}"), admin: None, trusted_proxies: Vec::new() }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::default(), level: "info".to_owned() }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self { dir: "var/cache".into(), memory: Bytes::mib(256), disk: Bytes::gib(20) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: Bytes::gib(1) }
    }
}

impl Settings {
    /// Reads a file and the environment over it, and holds both to every rule. Opens no socket.
    pub fn load(file: &Path, environment: &Environment, adapters: &Adapters<'_>) -> Result<Self, Report> {
        let folder = file.parent().unwrap_or(Path::new(""));
        load::read::<Self>(file, environment)?
            .map(|settings| settings.settle_in(folder))
            .check(|settings| check::check(settings, adapters))
    }

    /// Relative paths of sources begin at the folder of the file, wherever the gateway was started.
    fn settle_in(mut self, folder: &Path) -> Self {
        self.folder = folder.to_owned();
        for source in self.sources.values_mut() {
            source.ca_file = source.ca_file.take().map(|file| folder.join(file));
        }
        self
    }
}
