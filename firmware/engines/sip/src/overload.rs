//! How many requests outside of calls are listened to: from one source, and from all together.
//!
//! RFC 7339 thinking: what is in progress is served first, so nothing of a call in progress passes here; what is new pays a token. Two
//! buckets: each source's, so that one cannot use up everybody's, and all sources' together. Refusing is cheap, but not free: only
//! some of the refusals are answered (503 with Retry-After, spread), the rest is dropped. The table of sources is bounded; a full one
//! forgets the source silent for longest.

use alloc::boxed::Box;
use core::net::Ipv4Addr;

use dialtone_base::random::Random;
use dialtone_base::{Duration, Instant};

/// Tokens in a bucket, in thousandths.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: u64,
    at: Instant,
}

const TOKEN: u64 = 1000;
/// A bucket holds so many seconds' worth.
const BURST_SECONDS: u64 = 4;
/// Answered refusals a second.
const REFUSALS: u32 = 5;
/// Retry-After: at least this many seconds, and up to as many more at random.
const RETRY_AFTER: u32 = 5;
const RETRY_SPREAD: u32 = 25;

impl Bucket {
    const fn full(rate: u32, at: Instant) -> Self {
        Self { level: rate as u64 * TOKEN * BURST_SECONDS, at }
    }

    fn refill(&mut self, now: Instant, rate: u32) {
        let most = u64::from(rate) * TOKEN * BURST_SECONDS;
        let elapsed = now.since(self.at).as_micros().min(Duration::from_secs(3600).as_micros());
        let gained = elapsed * u64::from(rate) / 1000;
        if gained > 0 {
            self.level = self.level.saturating_add(gained).min(most);
            self.at = now;
        }
    }

    fn has_token(&self) -> bool {
        self.level >= TOKEN
    }

    fn take(&mut self) {
        self.level = self.level.saturating_sub(TOKEN);
    }
}

/// What becomes of a request outside of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Serve it.
    Serve,
    /// 503 with this Retry-After in seconds.
    Refuse(u32),
    /// Not even that.
    Drop,
}

/// The buckets.
#[derive(Clone, Debug)]
pub(crate) struct Overload {
    rate: u32,
    rate_per_source: u32,
    all: Bucket,
    refusals: Bucket,
    sources: Box<[Option<(Ipv4Addr, Bucket)>]>,
}

impl Overload {
    pub(crate) fn new(rate: u32, rate_per_source: u32, sources: usize) -> Self {
        Self {
            rate,
            rate_per_source,
            all: Bucket::full(rate, Instant::START),
            refusals: Bucket::full(REFUSALS, Instant::START),
            sources: alloc::vec![None; sources.max(1)].into_boxed_slice(),
        }
    }

    /// One request from `source`. `known`: it is our server, which is not held to a source's share.
    pub(crate) fn ask(
        &mut self,
        now: Instant,
        source: Ipv4Addr,
        known: bool,
        random: &mut Random,
    ) -> Verdict {
        self.all.refill(now, self.rate);
        let share = if known {
            true
        } else {
            let rate = self.rate_per_source;
            let bucket = self.source(now, source);
            bucket.refill(now, rate);
            let share = bucket.has_token();
            bucket.take();
            share
        };
        if share && self.all.has_token() {
            self.all.take();
            return Verdict::Serve;
        }
        self.refusals.refill(now, REFUSALS);
        if self.refusals.has_token() {
            self.refusals.take();
            Verdict::Refuse(RETRY_AFTER + random.below(RETRY_SPREAD))
        } else {
            Verdict::Drop
        }
    }

    fn source(&mut self, now: Instant, source: Ipv4Addr) -> &mut Bucket {
        let index = self
            .sources
            .iter()
            .position(|entry| entry.is_some_and(|(address, _)| address == source))
            .or_else(|| self.sources.iter().position(Option::is_none))
            .unwrap_or_else(|| {
                let oldest = self.sources.iter().enumerate();
                oldest
                    .min_by_key(|(_, entry)| entry.map(|(_, bucket)| bucket.at))
                    .map_or(0, |(index, _)| index)
            });
        let fresh = Bucket::full(self.rate_per_source, now);
        // `index` comes from the table itself, which is never empty.
        let entry = &mut self.sources[index];
        if entry.is_none_or(|(address, _)| address != source) {
            *entry = None;
        }
        &mut entry.get_or_insert((source, fresh)).1
    }
}

#[cfg(test)]
mod tests {
    use dialtone_base::random::Seed;

    use super::*;

    const SOURCE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 66);

    #[test]
    fn one_source_gets_its_share_and_leaves_the_rest_to_others() {
        let mut random = Random::new(Seed::from_number(1));
        let mut overload = Overload::new(20, 5, 4);
        let now = Instant::from_secs(100);
        let served =
            (0..1000).filter(|_| overload.ask(now, SOURCE, false, &mut random) == Verdict::Serve).count();
        assert_eq!(served, 20, "its burst");
        let other = Ipv4Addr::new(192, 0, 2, 1);
        assert_eq!(overload.ask(now, other, true, &mut random), Verdict::Serve);
        let later = now + Duration::from_secs(1);
        let served =
            (0..1000).filter(|_| overload.ask(later, SOURCE, false, &mut random) == Verdict::Serve).count();
        assert_eq!(served, 5, "its rate");
    }

    #[test]
    fn refusals_are_spread_and_themselves_bounded() {
        let mut random = Random::new(Seed::from_number(2));
        let mut overload = Overload::new(1, 1, 4);
        let (mut least, mut most, mut refused) = (u32::MAX, 0, 0);
        for milli in 0..60_000 {
            let now = Instant::from_secs(10) + Duration::from_millis(milli);
            if let Verdict::Refuse(after) = overload.ask(now, SOURCE, true, &mut random) {
                (least, most, refused) = (least.min(after), most.max(after), refused + 1);
            }
        }
        assert!((300..=330).contains(&refused), "{refused}");
        assert!(least <= 6 && most >= 28, "{least}..{most}");
    }

    #[test]
    fn a_full_table_forgets_the_source_silent_for_longest() {
        let mut random = Random::new(Seed::from_number(3));
        let mut overload = Overload::new(1_000_000, 1, 2);
        for number in 0..100_u8 {
            let now = Instant::from_secs(100 + u64::from(number));
            overload.ask(now, Ipv4Addr::new(10, 0, 0, number), false, &mut random);
        }
        assert!(overload.sources.iter().flatten().all(|(address, _)| address.octets()[3] >= 98));
    }
}
