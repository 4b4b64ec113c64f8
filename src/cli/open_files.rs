//! How many files this process may have open: connections are files too.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::http;

/// What is open beside connections: masters and pyramids, those that are being read or written, the way to sources.
const BESIDE: u64 = 1024;

/// Takes all that the system grants. Many start processes with much less.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// What is wrong with the most that the system grants, if it is too little for these connections.
pub(super) fn shortage(server: &http::Settings) -> Option<String> {
    told(getrlimit(Resource::Nofile).maximum?, server)
}

fn told(granted: u64, server: &http::Settings) -> Option<String> {
    let listeners = 1 + u64::from(server.admin.is_some());
    let wanted = (server.max_connections.get() as u64).saturating_mul(listeners).saturating_add(BESIDE);
    (granted < wanted).then(|| {
        format!(
            "this process may have {granted} files open, expected at least {wanted} for `server.max_connections`: \
             raise the limit (`LimitNOFILE` of systemd, `ulimit -Hn`), or lower the setting"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_open_too_few_files_is_told() {
        let mut server = http::Settings::default();
        assert_eq!(told(2024, &server), None);
        insta::assert_snapshot!(told(2023, &server).unwrap(), @"this process may have 2023 files open, expected at least 2024 for `server.max_connections`: raise the limit (`LimitNOFILE` of systemd, `ulimit -Hn`), or lower the setting");
        server.admin = Some(([127, 0, 0, 1], 9090).into());
        assert!(told(3023, &server).is_some() && told(3024, &server).is_none());
    }
}
