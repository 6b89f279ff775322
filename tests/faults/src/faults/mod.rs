//! The rows of the table.

mod agents;
mod limits;
mod outages;
mod streams;

use crate::scene::Fault;

/// Every fault.
pub(crate) fn all() -> Vec<&'static Fault> {
    [outages::ALL, streams::ALL, limits::ALL, agents::ALL].concat().to_vec()
}

/// The worst, for the faces of libchat in other languages.
pub(crate) const WORST: [&str; 8] = [
    "server killed",
    "server frozen 10 s",
    "connection half open",
    "consumers deleted",
    "stream made anew",
    "purged under a slow reader",
    "leader killed",
    "agent killed, resumed",
];

/// A few that take little time and have little in common, for `make test`.
pub(crate) const SHORT: [&str; 6] = [
    "server killed",
    "connections cut",
    "consumers deleted",
    "stream made anew",
    "purged under a slow reader",
    "agent killed, resumed",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What docs/reliability.md has in italics is a row.
    #[test]
    fn the_guide_names_only_faults_that_exist() {
        let guide = include_str!("../../../../docs/reliability.md").replace("**", "");
        let named: Vec<&str> = guide.split('*').skip(1).step_by(2).collect();
        assert!(named.len() > 20, "{named:?}");
        let rows: Vec<&str> = all().iter().map(|it| it.name).collect();
        let told = ["italics"];
        let unknown = named.iter().filter(|it| !rows.contains(it) && !told.contains(it));
        assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&&str>::new());
        assert!(WORST.iter().chain(&SHORT).all(|it| rows.contains(it)));
    }
}
