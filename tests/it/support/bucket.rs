//! A bucket of a test's own: a server that speaks as S3 does, in this process, on a port of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use http::{Method, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use loggia::store::bucket::Settings;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::gateway::files_below;

const BUCKET: &str = "pyramids";
const ACCESS: &str = "AKIALOGGIA";
const SECRET: &str = "s3cret-of-a-test";

/// Ends with the test.
pub(crate) struct Server {
    dir: TempDir,
    address: SocketAddr,
    door: Arc<Door>,
    running: Option<AbortHandle>,
}

/// What is counted and held up in front of the server.
struct Door {
    asked: Mutex<Vec<Method>>,
    /// After how many more requests none is answered.
    open: watch::Sender<usize>,
    /// Which are not answered for a while.
    held: watch::Sender<Option<Method>>,
}

impl Server {
    /// Begins with an empty bucket.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(BUCKET)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, held) = (watch::Sender::new(usize::MAX), watch::Sender::new(None));
        let door = Arc::new(Door { asked: Mutex::default(), open, held });
        let mut server = Self { dir, address, door, running: None };
        server.serve(listener);
        server
    }

    /// Ends: whoever asks is refused, and connections break off.
    pub(crate) fn stop(&mut self) {
        self.running.take().unwrap().abort();
    }

    /// Begins again, with what was in it.
    pub(crate) async fn run(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    fn serve(&mut self, listener: TcpListener) {
        let mut builder = S3ServiceBuilder::new(FileSystem::new(self.dir.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(ACCESS, SECRET));
        let (service, door) = (builder.build(), Arc::clone(&self.door));
        self.running = Some(tokio::spawn(listen(listener, service, door)).abort_handle());
    }

    /// From so many requests on none is answered, until it is told another number.
    pub(crate) fn answer(&self, requests: usize) {
        self.door.open.send_replace(requests);
    }

    /// From now on requests of this kind wait, until it is told another one or none.
    pub(crate) fn hold(&self, method: Option<Method>) {
        self.door.held.send_replace(method);
    }

    /// Requests of a kind that were heard so far.
    pub(crate) fn asked(&self, method: &Method) -> usize {
        self.door.asked.lock().unwrap().iter().filter(|asked| *asked == method).count()
    }

    /// Objects that can be seen, as the files that they are.
    pub(crate) fn objects(&self) -> Vec<PathBuf> {
        files_below(&self.dir.path().join(BUCKET))
    }

    /// Settings with the right keys.
    pub(crate) fn settings(&self) -> Settings {
        toml::from_str(&self.table(SECRET)).unwrap()
    }

    /// A section with the right keys.
    pub(crate) fn section(&self) -> String {
        format!("[cache.bucket]\n{}", self.table(SECRET))
    }

    /// A section with this secret key.
    pub(crate) fn section_with(&self, secret: &str) -> String {
        format!("[cache.bucket]\n{}", self.table(secret))
    }

    fn table(&self, secret: &str) -> String {
        table(self.address, secret)
    }
}

/// The section for a server at this address, which is given little time.
pub(crate) fn section_at(address: SocketAddr) -> String {
    format!("[cache.bucket]\n{}", table(address, SECRET))
}

fn table(address: SocketAddr, secret: &str) -> String {
    format!(
        "url = 's3://{BUCKET}/loggia'\nendpoint = 'http://{address}'\naccess_key = '{ACCESS}'\nsecret_key = '{secret}'\ntimeout = '500ms'\n"
    )
}

async fn listen(listener: TcpListener, service: S3Service, door: Arc<Door>) {
    // All connections end with the task.
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        let (service, door) = (service.clone(), Arc::clone(&door));
        connections.spawn(async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let (service, door) = (service.clone(), Arc::clone(&door));
                async move {
                    door.pass(request.method()).await;
                    service.call(request.map(s3s::Body::from)).await
                }
            });
            _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(connection), answer).await;
        });
    }
}

impl Door {
    async fn pass(&self, method: &Method) {
        self.asked.lock().unwrap().push(method.clone());
        self.held.subscribe().wait_for(|held| held.as_ref() != Some(method)).await.unwrap();
        let mut open = self.open.subscribe();
        open.wait_for(|left| *left > 0).await.unwrap();
        self.open.send_if_modified(|left| {
            *left = left.saturating_sub(usize::from(*left != usize::MAX));
            false
        });
    }
}
