//! Ports for servers that have to be told theirs.

use std::net::TcpListener;

/// One that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
