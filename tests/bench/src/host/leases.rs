//! Leases per second, by perfdhcp.

use dialtone_interop::exists;

use super::comparison::Table;
use super::{Effort, Yard};

/// One row.
pub fn rows(_yards: &mut [Yard; 2], _effort: &Effort, table: &mut Table) {
    if !exists("perfdhcp") {
        table.skip("leases", "perfdhcp is not installed (./check install)");
    }
}
