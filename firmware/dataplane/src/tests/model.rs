//! A reference model of the NAT beside the real one, over random steps.
//!
//! The model is a few maps and no cleverness: mappings by inside endpoint, filters, timers. Its external ports are learned from
//! the router; everything else is predicted.

use std::collections::{BTreeMap, BTreeSet};

use dialtone_base::Random;

use super::*;

#[derive(Default)]
struct Model {
    /// Per inside endpoint: external port, and per remote end when it was last kept alive from inside.
    mappings: BTreeMap<End, (u16, BTreeMap<End, Instant>)>,
}

impl Model {
    fn expire(&mut self, now: Instant) {
        for (_, flows) in self.mappings.values_mut() {
            flows.retain(|_, seen| now.since(*seen) < Duration::from_secs(300));
        }
        self.mappings.retain(|_, (_, flows)| !flows.is_empty());
    }

    fn inside_of(&self, port: u16) -> Option<(End, &BTreeMap<End, Instant>)> {
        self.mappings
            .iter()
            .find(|(_, (external, _))| *external == port)
            .map(|(end, (_, flows))| (*end, flows))
    }

    fn flows(&self) -> usize {
        self.mappings.values().map(|(_, flows)| flows.len()).sum()
    }
}

fn run(seed: u64, open: bool, steps: usize) {
    let mut random = Random::new(Seed::from_number(seed));
    let limits = Limits { flows: 2048, flows_per_device: 2048, ..Limits::SMALL };
    let mut home = Home::with_limits(&if open { open_filter() } else { config() }, limits);
    let mut model = Model::default();
    let hosts = [ALICE, BOB];
    let remotes = [SERVER, OTHER, Ipv4Addr::new(198, 51, 100, 3)];
    for step in 0..steps {
        let context = std::format!("seed {seed}, step {step}");
        let inside = (hosts[random.below(2) as usize], 5000 + random.below(6) as u16);
        let remote = (remotes[random.below(3) as usize], 53 + random.below(3) as u16);
        match random.below(10) {
            0..4 => {
                let sent = home.inside_sends(&udp(inside, remote));
                assert_eq!(sent.verdict, Verdict::Forward(PortId(0)), "{context}");
                let (address, port) = sent.source();
                assert_eq!((address, sent.destination()), (WAN, remote), "{context}");
                let known = model.mappings.get(&inside).map(|(port, _)| *port);
                match known {
                    Some(known) => assert_eq!(port, known, "{context}: mapping is endpoint-independent"),
                    None => {
                        assert!(model.inside_of(port).is_none(), "{context}: no overloading");
                        let preserved = model.inside_of(inside.1).is_none();
                        assert!(!preserved || port == inside.1, "{context}: preserved where free");
                        assert_eq!(port % 2, inside.1 % 2, "{context}: parity");
                    }
                }
                let entry = model.mappings.entry(inside).or_insert((port, BTreeMap::new()));
                entry.1.insert(remote, home.now);
            }
            4..8 => {
                // To a port in use half of the time.
                let ports: Vec<u16> = model.mappings.values().map(|(port, _)| *port).collect();
                let port = match ports.get(random.below(ports.len().max(1) as u32 * 2) as usize) {
                    Some(port) => *port,
                    None => 5000 + random.below(6) as u16,
                };
                let sent = home.wan_sends(&udp(remote, (WAN, port)));
                match model.inside_of(port) {
                    None => assert_eq!(sent.verdict, Verdict::Drop(DropReason::Unsolicited), "{context}"),
                    Some((inside, flows)) => {
                        let addresses: BTreeSet<_> = flows.keys().map(|end| end.0).collect();
                        if open || addresses.contains(&remote.0) {
                            assert_eq!(sent.destination(), inside, "{context}");
                            assert_eq!(sent.source(), remote, "{context}");
                            let now = home.now;
                            let (_, flows) = model.mappings.get_mut(&inside).unwrap();
                            flows.entry(remote).or_insert(now);
                        } else {
                            assert_eq!(sent.verdict, Verdict::Drop(DropReason::Filtered), "{context}");
                        }
                    }
                }
            }
            8 => {
                // Errors change nothing.
                if let Some((_, (port, flows))) = model.mappings.iter().next() {
                    let remote = *flows.keys().next().unwrap();
                    let quoted = edit(udp((WAN, *port), remote), |packet| packet[8] = 60);
                    let error = home.wan_sends(&unreachable(remote.0, &quoted));
                    // Flooded when the bridge has forgotten a station that was silent for long.
                    let went_on = matches!(error.verdict, Verdict::Forward(_) | Verdict::Flood(_));
                    assert!(went_on, "{context}: {:?}", error.verdict);
                }
            }
            _ => {
                // Timers are seconds in the router: keep well away from the edge.
                home.wait(Duration::from_secs(u64::from(random.below(60))));
                let close = |seen: &Instant, now: Instant| (297..=304).contains(&now.since(*seen).as_secs());
                while model
                    .mappings
                    .values()
                    .any(|(_, flows)| flows.values().any(|seen| close(seen, home.now)))
                {
                    home.wait(Duration::from_secs(8));
                }
                let now = home.now;
                model.expire(now);
                assert_eq!(home.flows() as usize, model.flows(), "{context}");
                assert_eq!(home.mappings() as usize, model.mappings.len(), "{context}");
            }
        }
    }
}

#[test]
fn the_nat_agrees_with_a_reference_model_over_random_steps() {
    for seed in 0..12 {
        run(seed, false, 1_500);
        run(seed + 100, true, 1_500);
    }
}
