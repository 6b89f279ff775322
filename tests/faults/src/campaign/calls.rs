//! What must be true of every call that reads, and of a manager's counters.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use libchat::{ErrorKind, Event};

use crate::campaign::journal::{Called, Found, Life, Place, Said, Sent, Summary};
use crate::campaign::model::{LATE, Model};

impl Model<'_> {
    pub(super) fn call(&mut self, called: &Called) {
        let took = called.ended - called.begun;
        let what = &called.what;
        if took > called.timeout + LATE + self.journal.late {
            self.find("a late call", format!("{what} took {took:?} of {:?}", called.timeout));
        }
        if let Some((kind, text)) = &called.failed {
            let short = called.timeout < Duration::from_secs(2) && *kind == ErrorKind::Timeout;
            let asked = what == "ask"
                && matches!(kind, ErrorKind::NoResponders | ErrorKind::Timeout | ErrorKind::Remote);
            let fits = self.fits(*kind, called.life, called.begun, called.ended, false);
            if !(short || asked || fits) {
                self.find("an error without a reason", format!("{what}: {text}"));
            }
        }
        match &called.found {
            Found::Nothing => {}
            Found::Thread { short, messages } => self.history(called, short, messages),
            Found::Threads(threads) => self.list(called, threads),
            Found::ThreadsOf { agent, shorts } => self.threads_of(called, agent, shorts),
        }
    }

    fn history(&mut self, called: &Called, short: &str, messages: &[(Place, String)]) {
        if let Some(two) = messages.windows(2).find(|two| two[0].0 >= two[1].0) {
            self.find("a history out of order", format!("{two:?}"));
        }
        let told: HashSet<Place> = messages.iter().map(|it| it.0).collect();
        let there = self.there(called.begun, called.ended);
        let missing = there.iter().find(|(at, lay)| lay.short == short && !told.contains(at));
        if let Some(missing) = missing {
            self.find("a history that is not complete", format!("{missing:?}"));
        }
    }

    fn list(&mut self, called: &Called, threads: &[Summary]) {
        if let Some(two) = threads.windows(2).find(|two| two[0].place <= two[1].place) {
            self.find("a list out of order", format!("{:?}, {:?}", two[0].place, two[1].place));
        }
        let mut least: HashMap<&str, (u64, Place)> = HashMap::new();
        for (place, lay) in self.there(called.begun, called.ended) {
            let (count, last) = least.entry(lay.short).or_default();
            (*count, *last) = (*count + 1, place.max(*last));
        }
        let by_short: HashMap<&str, &Summary> =
            threads.iter().map(|it| (it.short.as_str(), it)).collect();
        for (short, (count, last)) in least {
            let Some(summary) = by_short.get(short) else {
                self.find("a list that is not complete", format!("no {short} of {count}"));
                continue;
            };
            if summary.count < count || summary.place < last {
                let text = format!(
                    "{short}: {} to {:?} of {count} to {last:?}",
                    summary.count, summary.place
                );
                self.find("a list that is not complete", text);
            }
        }
        for summary in threads {
            let all = self.truth.values().filter(|it| it.short == summary.short).count();
            let unseen = self.groups.values().filter(|it| it.places.is_empty());
            let unseen = unseen.filter(|it| it.calls[0].1.short == summary.short).count();
            let known =
                summary.last.as_ref().is_none_or(|it| self.groups.contains_key(it.as_str()));
            if summary.count > (all + unseen) as u64 || !known {
                let text = format!("{}: {} of {all}, {unseen}", summary.short, summary.count);
                self.find("a list of what never was", text);
            }
        }
    }

    fn threads_of(&mut self, called: &Called, agent: &str, shorts: &[String]) {
        let is_by = |sent: &Sent| self.journal.lives[sent.life].agent == agent;
        let there = self.there(called.begun, called.ended);
        let missing = there.iter().find(|(_, lay)| {
            let by = self.groups.get(lay.id).is_some_and(|it| is_by(it.calls[0].1));
            by && !shorts.iter().any(|it| it == lay.short)
        });
        let tried = |short: &String| {
            let mut sends = self.journal.sends.iter().filter(|it| is_by(it));
            sends.any(|it| it.short == *short && it.begun < called.ended)
        };
        let strange = shorts.iter().find(|it| !tried(it));
        let text = format!("of {agent}: missing {missing:?}, strange {strange:?}");
        if missing.is_some() || strange.is_some() {
            self.find("threads of another agent", text);
        }
    }

    /// A manager's counters against what it was seen to do.
    pub(super) fn stats(&mut self, number: usize, life: &Life) {
        let Some(stats) = life.stats else { return };
        let journal = self.journal;
        let sends = || journal.sends.iter().filter(|it| it.life == number);
        let acked = sends().filter(|it| it.is_acked()).count() as u64;
        let copy = |it: &&Sent| matches!(it.said, Said::Acked { duplicate: true, .. });
        let copies = sends().filter(copy).count() as u64;
        let watches = journal.watches.iter().filter(|it| it.life == number);
        let events = || watches.clone().flat_map(|it| it.events.iter().map(|it| &it.1));
        let count = |of: fn(&&Event) -> bool| events().filter(of).count() as u64;
        let told = count(|it| matches!(it, Event::Message(_)));
        let gaps = count(|it| matches!(it, Event::Gap { .. }));
        let resets = count(|it| matches!(it, Event::Reset { .. }));
        let malformed = count(|it| matches!(it, Event::Malformed { .. }));
        let exact = [(stats.sent, acked), (stats.duplicates, copies), (stats.delivered, told)];
        let least = [(stats.gaps, gaps), (stats.resets, resets)];
        let exact = exact.iter().all(|(counted, seen)| counted == seen);
        let least = least.iter().all(|(counted, seen)| counted >= seen);
        let malformed = (malformed == 0) || stats.malformed > 0;
        if !exact || !least || !malformed || stats.watches > 0 {
            let text = format!(
                "{}: {stats:?}, seen: {acked} sent, {copies} copies, {told} told, {gaps} gaps, \
                 {resets} resets",
                life.agent
            );
            self.find("untrue counters", text);
        }
    }
}
