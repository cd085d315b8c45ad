//! The accounts of all addresses, as many as are allowed.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::account::Account;

/// Accounts that are kept before the first look at them.
const LEAST: usize = 256;

/// Time between two looks at a table that is full.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Table {
    max: usize,
    accounts: Mutex<Accounts>,
}

struct Accounts {
    by_address: HashMap<IpAddr, Arc<Account>>,
    /// As many are there before they are looked through, and not before that time.
    look_at: usize,
    look_after: Option<Instant>,
    /// That of all addresses for which there is no room.
    common: Option<Arc<Account>>,
}

impl Table {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            accounts: Mutex::new(Accounts {
                by_address: HashMap::new(),
                look_at: LEAST.min(max),
                look_after: None,
                common: None,
            }),
        }
    }

    pub(super) fn len(&self) -> usize {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.by_address.len()
    }

    pub(super) fn account(
        &self,
        address: IpAddr,
        now: Instant,
        open: impl FnOnce() -> Account,
    ) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.by_address.get(&address) {
            return account.clone();
        }
        if accounts.by_address.len() >= accounts.look_at {
            accounts.tidy(self.max, now);
        }
        if accounts.by_address.len() >= self.max {
            return accounts.common.get_or_insert_with(|| Arc::new(open())).clone();
        }
        let account = Arc::new(open());
        accounts.by_address.insert(address, account.clone());
        account
    }
}

impl Accounts {
    /// Forgets those that are as good as new, and, if that makes no room, all with nothing open.
    fn tidy(&mut self, max: usize, now: Instant) {
        if self.look_after.is_some_and(|time| time > now) {
            return;
        }
        let in_use = |account: &Arc<Account>| Arc::strong_count(account) > 1;
        self.by_address
            .retain(|_, account| in_use(account) || !account.is_unused(now));
        if self.by_address.len() >= max {
            self.by_address.retain(|_, account| in_use(account));
        }
        // It grows to twice what is in use before it is looked through again.
        let used = self.by_address.len();
        self.look_at = (2 * used).max(LEAST).min(max);
        self.look_after = (used >= max).then(|| now + PAUSE);
        self.by_address.shrink_to(self.look_at);
    }
}
