//! Reasons that count themselves: an enum, a name per variant, a counter per variant.
//!
//! Every drop and every rejection in the product is one variant of an enum made by
//! [`counted_reasons!`](crate::counted_reasons), and sits in a [`Counters`] beside the code that decides it.

/// An enum whose variants can be counted. Made by [`counted_reasons!`](crate::counted_reasons).
pub trait Reason: Copy + 'static {
    /// Every variant, in the order of declaration.
    const ALL: &'static [Self];

    /// Position in [`Self::ALL`].
    fn index(self) -> usize;

    /// The name in status pages and logs: lower-case words with hyphens.
    fn name(self) -> &'static str;
}

/// One counter per variant of `R`; `N` must be `R::ALL.len()`.
#[derive(Clone, Debug)]
pub struct Counters<R: Reason, const N: usize> {
    counts: [u64; N],
    reason: core::marker::PhantomData<R>,
}

impl<R: Reason, const N: usize> Counters<R, N> {
    /// All zero.
    pub const fn new() -> Self {
        assert!(N == R::ALL.len(), "one counter per reason");
        Self { counts: [0; N], reason: core::marker::PhantomData }
    }

    /// One more of `reason`.
    #[inline]
    pub fn count(&mut self, reason: R) {
        self.add(reason, 1);
    }

    /// `n` more of `reason`.
    #[inline]
    pub fn add(&mut self, reason: R, n: u64) {
        if let Some(count) = self.counts.get_mut(reason.index()) {
            *count = count.wrapping_add(n);
        }
    }

    /// How often `reason` was counted.
    pub fn of(&self, reason: R) -> u64 {
        self.counts.get(reason.index()).copied().unwrap_or(0)
    }

    /// Sum over all reasons.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    /// Every reason with its count, also the zeros.
    pub fn iter(&self) -> impl Iterator<Item = (R, u64)> + '_ {
        R::ALL.iter().map(|reason| (*reason, self.of(*reason)))
    }
}

impl<R: Reason, const N: usize> Default for Counters<R, N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Declares an enum of counted reasons: `Variant = "shown-name"`.
///
/// ```
/// dialtone_base::counted_reasons! {
///     /// Why a letter came back.
///     pub enum Returned {
///         /// Nobody of that name lives there.
///         Unknown = "unknown",
///         /// The box was full.
///         Full = "full",
///     }
/// }
/// let mut counters = dialtone_base::counter::Counters::<Returned, { Returned::COUNT }>::new();
/// counters.count(Returned::Full);
/// assert_eq!(counters.of(Returned::Full), 1);
/// ```
#[macro_export]
macro_rules! counted_reasons {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        $vis enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// How many variants there are.
            pub const COUNT: usize = [$($text),+].len();
        }

        impl $crate::counter::Reason for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            fn index(self) -> usize { self as usize }
            fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str($crate::counter::Reason::name(*self))
            }
        }
    };
}
