//! Accounts in a table of fixed size that all workers share without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// The accounts. An account is known by 64 bits of a seeded hash.
///
/// Its state is one moment: when it will have its whole allowance again. An answer moves that moment on by what it
/// costs; if it lies more than a second ahead, the account is overdrawn. Workers that meet at an account may lose each
/// other's first debit, which a limit does not notice; no account is ever credited more than it is due.
pub(super) struct Table {
    buckets: Box<[Bucket]>,
    /// How far an account may be overdrawn, in nanoseconds.
    window: u64,
}

/// The accounts whose hashes lead here: one cache line.
#[derive(Default)]
#[repr(align(64))]
struct Bucket([Account; ACCOUNTS]);

/// One account.
#[derive(Default)]
struct Account {
    /// Whose it is; 0 for nobody's.
    owner: AtomicU64,
    /// When it has its whole allowance again, in nanoseconds of the table's time.
    whole_at: AtomicU64,
}

impl Table {
    /// Room for so many accounts, rounded up. All have their allowance.
    pub(super) fn new(accounts: usize, window: u64) -> Self {
        let buckets = accounts.div_ceil(ACCOUNTS).next_power_of_two();
        Self { buckets: (0..buckets).map(|_| Bucket::default()).collect(), window }
    }

    /// Debits an account; true if it is overdrawn.
    pub(super) fn debit(&self, owner: u64, cost: u64, now: u64) -> bool {
        // The length is a power of two.
        let Some(Bucket(accounts)) = self.buckets.get(owner as usize & (self.buckets.len() - 1)) else { return false };
        let owner = owner | 1 << 63;
        let account = match accounts.iter().find(|account| account.owner.load(Ordering::Relaxed) == owner) {
            Some(account) => account,
            None => {
                // The one that is least in debt makes room: an attacker who opens many accounts does not clear his own.
                let least = accounts.iter().min_by_key(|account| account.whole_at.load(Ordering::Relaxed));
                let Some(least) = least else { return false };
                least.owner.store(owner, Ordering::Relaxed);
                least.whole_at.store(now, Ordering::Relaxed);
                least
            }
        };
        account.whole_at.fetch_max(now, Ordering::Relaxed);
        let whole_at = account.whole_at.fetch_add(cost, Ordering::Relaxed).saturating_add(cost);
        let most = now.saturating_add(ALLOWANCE).saturating_add(self.window);
        if whole_at > most {
            account.whole_at.store(most, Ordering::Relaxed);
        }
        whole_at > now.saturating_add(ALLOWANCE)
    }
}

/// Accounts in a bucket.
const ACCOUNTS: usize = 4;

/// What an account may hold: the allowance of a second, in nanoseconds.
const ALLOWANCE: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = ALLOWANCE;

    /// How many of `count` answers at one moment are within the allowance.
    fn within(table: &Table, owner: u64, count: usize, now: u64) -> usize {
        (0..count).filter(|_| !table.debit(owner, SECOND / 5, now)).count()
    }

    /// Five a second: five at once, and no more until time has passed; a second of rest gives five again.
    #[test]
    fn an_account_holds_the_allowance_of_a_second() {
        let table = Table::new(100, 15 * SECOND);
        let start = 7 * SECOND;
        assert_eq!(within(&table, 1, 5, start), 5);
        assert_eq!(within(&table, 2, 5, start), 5);
        assert_eq!(within(&table, 1, 5, start + 1000 * SECOND), 5);
        assert!(table.debit(1, SECOND / 5, start + 1000 * SECOND));
    }

    /// What is dropped is debited too, down to the window and no further.
    #[test]
    fn debt_ends_with_the_window() {
        let table = Table::new(100, 15 * SECOND);
        assert_eq!(within(&table, 1, 100_000, SECOND), 5);
        assert_eq!(within(&table, 1, 1, 15 * SECOND), 0);
        // Even that one query has been paid for by then.
        assert_eq!(within(&table, 1, 1, 17 * SECOND + SECOND / 5), 1);
    }

    /// The table does not grow, and an account in debt outlives any number of others.
    #[test]
    fn new_accounts_do_not_clear_debts() {
        let table = Table::new(64, 15 * SECOND);
        assert_eq!(within(&table, 1, 1000, SECOND), 5);
        for other in 2..100_000 {
            table.debit(other, SECOND / 5, SECOND);
        }
        assert_eq!(within(&table, 1, 10, SECOND), 0);
        assert_eq!(table.buckets.len(), 16);
        assert_eq!(size_of::<Bucket>(), 64);
    }
}
