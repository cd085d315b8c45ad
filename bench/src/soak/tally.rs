//! The ledgers of both sides: what clients have sent and were answered, and what the server has handled. They are compared life
//! by life as soon as both are known, so that a long run keeps no more than what goes on.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// What is kept of the faults; all are counted.
const MAX_FAULTS: usize = 50;

/// What one client did.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Account {
    /// The server has let it in, and must know of it.
    #[serde(default)]
    pub(super) is_known: bool,
    /// Requests of the ledger, numbered from zero.
    pub(super) sent: u32,
    /// Those that were answered.
    pub(super) acknowledged: u32,
    /// Messages to rooms.
    #[serde(default)]
    pub(super) said: u32,
}

/// What the server has handled for one client that has left.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) life: String,
    /// Requests, each the next of the one before.
    pub(super) handled: u32,
    /// Requests that came in another order, twice, or with another text.
    pub(super) wrong: u32,
}

/// One thing that went wrong.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Noted {
    pub(super) life: String,
    pub(super) kind: String,
    pub(super) what: String,
}

/// What all came to.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Totals {
    pub(super) lives: u64,
    /// By what they were about.
    pub(super) kinds: BTreeMap<String, u64>,
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) handled: u64,
    pub(super) said: u64,
    pub(super) faults: u64,
}

/// Both ledgers.
#[derive(Default)]
pub(super) struct Tally(Mutex<Books>);

#[derive(Default)]
struct Books {
    totals: Totals,
    /// Lives that have ended, whose entry has not come.
    accounts: HashMap<String, Account>,
    /// Entries whose lives have not ended.
    entries: HashMap<String, Entry>,
    faults: Vec<Noted>,
}

impl Tally {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what went wrong.
    pub(super) fn fault(&self, life: &str, kind: impl Into<String>, what: impl Into<String>) {
        self.books().fault(life, kind.into(), what.into());
    }

    /// A life has ended.
    pub(super) fn ended(&self, key: &str, kind: &str, account: Account) {
        let mut books = self.books();
        books.totals.lives += 1;
        *books.totals.kinds.entry(kind.to_owned()).or_default() += 1;
        books.totals.sent += u64::from(account.sent);
        books.totals.acknowledged += u64::from(account.acknowledged);
        books.totals.said += u64::from(account.said);
        match books.entries.remove(key) {
            Some(entry) => books.compare(key, account, &entry),
            None if account.is_known => drop(books.accounts.insert(key.to_owned(), account)),
            None => {}
        }
    }

    /// The server knows of these that they have left.
    pub(super) fn left(&self, entries: Vec<Entry>) {
        let mut books = self.books();
        for entry in entries {
            books.totals.handled += u64::from(entry.handled);
            match books.accounts.remove(&entry.life) {
                Some(account) => books.compare(&entry.life, account, &entry),
                None => {
                    if let Some(other) = books.entries.insert(entry.life.clone(), entry) {
                        books.fault(
                            &other.life,
                            String::new(),
                            "the server knows of two clients of this name".into(),
                        );
                    }
                }
            }
        }
    }

    /// Accounts that wait for the server's entry.
    pub(super) fn missing(&self) -> usize {
        self.books().accounts.len()
    }

    /// The end: what is in one ledger alone is a fault.
    pub(super) fn close(&self) -> (Totals, Vec<Noted>) {
        let mut books = self.books();
        let accounts: Vec<_> = books.accounts.drain().collect();
        for (life, account) in accounts {
            let what = format!(
                "the server never told that it has left: {} sent, {} acknowledged",
                account.sent, account.acknowledged
            );
            books.fault(&life, String::new(), what);
        }
        // A client may be let in whose own connection was cut before it knew.
        let entries: Vec<_> = books
            .entries
            .drain()
            .filter(|(_, entry)| entry.handled > 0)
            .collect();
        for (life, entry) in entries {
            let what = format!("the server handled {} requests that nobody sent", entry.handled);
            books.fault(&life, String::new(), what);
        }
        (books.totals.clone(), std::mem::take(&mut books.faults))
    }
}

impl Books {
    fn compare(&mut self, key: &str, account: Account, entry: &Entry) {
        let Account {
            sent, acknowledged, ..
        } = account;
        let Entry { handled, wrong, .. } = *entry;
        if wrong > 0 || handled > sent || handled < acknowledged {
            let what = format!(
                "{sent} sent, {acknowledged} acknowledged, {handled} handled in order, {wrong} in another order or changed"
            );
            self.fault(key, "ledger".to_owned(), what);
        }
    }

    fn fault(&mut self, life: &str, kind: String, what: String) {
        self.totals.faults += 1;
        if self.faults.len() < MAX_FAULTS {
            let life = life.to_owned();
            self.faults.push(Noted { life, kind, what });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(sent: u32, acknowledged: u32, handled: u32, wrong: u32) -> u64 {
        let tally = Tally::default();
        let account = Account {
            is_known: true,
            sent,
            acknowledged,
            said: 0,
        };
        tally.ended("1-1", "talk", account);
        assert_eq!(tally.missing(), 1);
        tally.left(vec![Entry {
            life: "1-1".to_owned(),
            handled,
            wrong,
        }]);
        assert_eq!(tally.missing(), 0);
        tally.close().0.faults
    }

    #[test]
    fn what_was_acknowledged_was_handled_once() {
        assert_eq!(faults(10, 8, 8, 0), 0);
        assert_eq!(faults(10, 8, 10, 0), 0, "what was not waited for may be handled");
        assert_eq!(faults(10, 8, 7, 0), 1, "acknowledged and not handled");
        assert_eq!(faults(10, 8, 11, 0), 1, "handled and never sent");
        assert_eq!(faults(10, 8, 9, 1), 1, "out of order");
    }

    #[test]
    fn what_one_side_alone_knows_is_a_fault() {
        let known = Account {
            is_known: true,
            ..Account::default()
        };
        let entry = |handled| {
            vec![Entry {
                life: "2-2".to_owned(),
                handled,
                wrong: 0,
            }]
        };
        let tally = Tally::default();
        tally.ended("1-1", "talk", known);
        tally.ended("1-2", "cut", Account::default());
        tally.left(entry(1));
        assert_eq!(tally.close().0.faults, 2);
        let tally = Tally::default();
        tally.left(entry(0));
        assert_eq!(tally.close().0.faults, 0, "let in, and cut off before it knew");
        let tally = Tally::default();
        tally.left(entry(1));
        tally.left(entry(1));
        assert_eq!(tally.close().0.faults, 2, "twice the same, and nobody sent it");
    }
}
