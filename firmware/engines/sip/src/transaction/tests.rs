//! Timers, matching and limits of the transactions, in virtual time.
