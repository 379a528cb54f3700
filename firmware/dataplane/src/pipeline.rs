//! The whole order of stages, on one screen.

use dialtone_base::{Frame, Instant};

use crate::verdict::{DropReason, Verdict};
use crate::{Dataplane, Ingress};

/// Takes one frame through every stage it needs.
pub(crate) fn run(_plane: &mut Dataplane, _now: Instant, _from: Ingress, _frame: &mut Frame) -> Verdict {
    Verdict::Drop(DropReason::UnknownEtherType)
}
