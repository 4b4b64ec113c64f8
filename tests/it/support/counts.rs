//! The gateway's own metrics, counted for one test alone.

use metrics::LocalRecorderGuard;
use metrics_exporter_prometheus::{PrometheusHandle, PrometheusRecorder};

/// Counts what happens on the thread of a test, which is where everything but pixels and files
/// happens as long as the test has a runtime of one thread.
pub(crate) struct Counts {
    handle: PrometheusHandle,
    _counting: LocalRecorderGuard<'static>,
}

impl Counts {
    /// Counts from here on.
    pub(crate) fn start() -> Self {
        // The guard borrows the recorder; a few bytes per test are no loss.
        let recorder: &'static PrometheusRecorder = Box::leak(Box::new(loggia::telemetry::recorder()));
        Self { handle: recorder.handle(), _counting: metrics::set_default_local_recorder(recorder) }
    }

    /// The sum of a counter over all its labels.
    pub(crate) fn of(&self, name: &str) -> u64 {
        let text = self.handle.render();
        let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}
