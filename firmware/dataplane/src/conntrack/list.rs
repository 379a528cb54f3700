//! Doubly linked lists through arrays of links: O(1) in, out, and oldest first.
//!
//! A [`Chain`] is head and tail of one list; the links live in the caller's array, one [`Link`] per element and kind of
//! list. Nothing allocates.

/// No element.
pub(crate) const NONE: u32 = u32::MAX;

/// An element's place in one list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    previous: u32,
    next: u32,
}

impl Link {
    pub(crate) const FREE: Self = Self { previous: NONE, next: NONE };

    /// The element after this one, or [`NONE`].
    pub(crate) const fn next(self) -> u32 {
        self.next
    }
}

/// One list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    head: u32,
    tail: u32,
}

/// Elements that carry links, by index.
pub(crate) trait Links {
    fn link(&mut self, index: u32) -> Option<&mut Link>;
}

impl Chain {
    pub(crate) const EMPTY: Self = Self { head: NONE, tail: NONE };

    /// The oldest element.
    pub(crate) const fn oldest(&self) -> Option<u32> {
        if self.head == NONE { None } else { Some(self.head) }
    }

    /// Appends an element that is in no list of this kind.
    #[inline]
    pub(crate) fn push(&mut self, links: &mut impl Links, index: u32) {
        let tail = self.tail;
        if let Some(link) = links.link(index) {
            *link = Link { previous: tail, next: NONE };
        }
        if tail == NONE {
            self.head = index;
        } else if let Some(link) = links.link(tail) {
            link.next = index;
        }
        self.tail = index;
    }

    /// Takes out an element of this list.
    #[inline]
    pub(crate) fn remove(&mut self, links: &mut impl Links, index: u32) {
        let Some(link) = links.link(index) else { return };
        let Link { previous, next } = core::mem::replace(link, Link::FREE);
        if previous == NONE {
            self.head = next;
        } else if let Some(link) = links.link(previous) {
            link.next = next;
        }
        if next == NONE {
            self.tail = previous;
        } else if let Some(link) = links.link(next) {
            link.previous = previous;
        }
    }
}
