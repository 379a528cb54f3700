//! Offer and answer for one voice stream (RFC 3264), one value per call.
//!
//! Keeps what must not change during a call: session id, payload type numbers, the places of refused streams, and the version that
//! counts our changes (§8). Hold is a direction (§8.4; the old `0.0.0.0` is understood). Codecs are chosen in the offerer's order.
//! Fax over T.38 is refused so that the peer falls back to G.711. Does not offer more than one stream.

use core::fmt::Write;
use core::net::{IpAddr, SocketAddr};

use dialtone_base::{Random, Seed, counted_reasons};
use heapless::{String, Vec};

use super::parse::{Description, MOST_MEDIA, Media};
use super::write::{self, Audio, Format};
use crate::codec::Codec;
use crate::stream::{Direction, EventTypes, OpusParameters, StreamConfig};

/// Our descriptions are never longer.
pub const TEXT_CAPACITY: usize = 1536;

/// What this side can do and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// The address peers shall send to: the WAN's.
    pub address: IpAddr,
    /// Our RTP port.
    pub rtp_port: u16,
    /// Our RTCP port, mostly the next one.
    pub rtcp_port: u16,
    /// RTCP may share the RTP port when the peer can (RFC 5761).
    pub rtcp_mux: bool,
    /// Codecs in the order of preference.
    pub codecs: Vec<Codec, 4>,
    /// Milliseconds of sound we like in a packet: 10 to 60.
    pub packet_time: u8,
    /// Keys travel as RFC 4733 events when the peer can.
    pub telephone_event: bool,
    /// Silence travels as comfort noise (RFC 3389) when the peer can; not with Opus.
    pub comfort_noise: bool,
    /// Samples in a second of our line, 8000 or 16000: the most Opus need carry.
    pub sample_rate: u32,
}

/// The state of offer and answer of one call.
#[derive(Clone, Debug)]
pub struct Negotiation {
    /// What this side can do. Change it (a new WAN address, other codecs) before the next offer or answer.
    pub local: Local,
    hold: bool,
    session_id: u64,
    version: u64,
    text: String<TEXT_CAPACITY>,
    formats: Vec<Format, 8>,
    numbers: [u8; 4],
    event_numbers: [u8; 2],
    sections: Vec<Section, MOST_MEDIA>,
    offered: bool,
}

counted_reasons! {
    /// Why no stream came about. The SIP side answers 488 (400 to a malformed one).
    pub enum Refused {
        /// The peer's fault: it cannot be read.
        Malformed = "malformed-description",
        /// No audio stream is offered.
        NoAudio = "no-audio-offered",
        /// Only fax over T.38 is offered: the peer shall try G.711.
        FaxOverT38 = "fax-over-t38-offered",
        /// Only encrypted audio is offered.
        Encrypted = "only-encrypted-audio-offered",
        /// No codec is known to both.
        NoCommonCodec = "no-common-codec",
        /// The answer refuses our stream (port 0).
        StreamRefused = "stream-refused-by-peer",
        /// An answer came, but nothing was offered.
        NotOffered = "answer-without-offer",
        /// Sound would go where no single far end is: loopback, multicast, broadcast, link-local, reserved.
        UnusableAddress = "unusable-address",
        /// Our limit: the answer does not fit into [`TEXT_CAPACITY`].
        TooLong = "description-too-long",
    }
}

/// What stands in the place of each `m=` line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Section {
    Audio,
    Refused { kind: String<16>, protocol: String<24>, format: String<16> },
}

impl Refused {
    /// The SIP status that tells the peer.
    pub const fn status_code(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::TooLong => 513,
            _ => 488,
        }
    }
}

impl Negotiation {
    /// A call that has exchanged nothing yet.
    pub fn new(local: Local, seed: Seed) -> Self {
        let mut random = Random::new(seed);
        // Both fit into what peers with signed numbers can hold, and are short.
        let session_id = u64::from(random.next_u32() >> 1);
        let version = u64::from(random.below(1 << 10));
        Self {
            local,
            hold: false,
            session_id,
            version,
            text: String::new(),
            formats: Vec::new(),
            numbers: [0, 8, 9, 107],
            event_numbers: [101, 102],
            sections: Vec::new(),
            offered: false,
        }
    }

    /// Puts the peer on hold, or takes it back, with the next offer or answer.
    pub fn set_hold(&mut self, hold: bool) {
        self.hold = hold;
    }

    /// Whether the next description says hold.
    pub const fn hold(&self) -> bool {
        self.hold
    }

    /// Our latest description: the body of the message to send. Empty before the first.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Makes an offer and returns its text. The version grows only when something changed (RFC 3264 §8).
    pub fn offer(&mut self) -> Result<&str, Refused> {
        let mut formats: Vec<Format, 8> = Vec::new();
        let codecs = self.local.codecs.clone();
        for codec in &codecs {
            add(&mut formats, |number| Format::Voice(number, *codec), self.number_of(*codec));
        }
        if self.local.comfort_noise && codecs.iter().any(|codec| *codec != Codec::Opus) {
            let _ = formats.push(Format::ComfortNoise(COMFORT_NOISE));
        }
        if self.local.telephone_event {
            let [narrow, wide] = self.event_numbers;
            if codecs.iter().any(|codec| codec.clock_rate() == 8000) {
                add(&mut formats, |number| Format::Event(number, 8000), narrow);
            }
            if codecs.contains(&Codec::Opus) {
                add(&mut formats, |number| Format::Event(number, 48_000), wide);
            }
        }
        if !self.sections.contains(&Section::Audio) {
            self.sections.clear();
            let _ = self.sections.push(Section::Audio);
        }
        let direction = self.wanted();
        self.formats = formats;
        self.write("RTP/AVP", self.local.packet_time, direction, self.local.rtcp_mux)?;
        self.offered = true;
        Ok(&self.text)
    }

    /// Answers an offer: [`Negotiation::text`] is the answer, the result is the stream.
    pub fn answer(&mut self, offer: &[u8]) -> Result<StreamConfig, Refused> {
        let offer = Description::parse(offer).map_err(|_| Refused::Malformed)?;
        // Two offers that crossed (RFC 3261 §14.1): SIP refused ours.
        self.offered = false;
        let (place, media, chosen) = self.choose(&offer)?;
        only_usable(&offer, media)?;
        let mut formats: Vec<Format, 8> = Vec::new();
        let _ = formats.push(Format::Voice(chosen.0, chosen.1));
        let comfort_noise = self.comfort_noise(media, chosen.1);
        if let Some(number) = comfort_noise {
            let _ = formats.push(Format::ComfortNoise(number));
        }
        let event = self.event_of(media, chosen.1);
        if let Some((number, clock)) = event {
            let _ = formats.push(Format::Event(number, clock));
        }
        let direction = self.wanted().and(offer.direction_of(media).reversed());
        let rtcp_mux = self.local.rtcp_mux && media.attribute("rtcp-mux").is_some();
        let config = StreamConfig {
            telephone_event: event.map(|(number, clock)| EventTypes {
                send: number,
                receive: number,
                clock_rate: clock,
            }),
            comfort_noise,
            ..self.stream(&offer, media, chosen, &[chosen], direction, rtcp_mux)
        };

        // The numbers stay for the rest of the call (RFC 3264 §8.3.2).
        if let Some(number) = self.numbers.get_mut(index_of(chosen.1)) {
            *number = chosen.0;
        }
        if let Some((number, clock)) = event {
            let [narrow, wide] = &mut self.event_numbers;
            *(if clock == 8000 { narrow } else { wide }) = number;
        }
        self.formats = formats;
        self.sections = sections(&offer, place);
        let protocol: String<24> = clipped(media.protocol);
        self.write(&protocol, self.local.packet_time, direction, rtcp_mux)?;
        Ok(config)
    }

    /// Takes the answer to our latest offer.
    pub fn accept(&mut self, answer: &[u8]) -> Result<StreamConfig, Refused> {
        if !self.offered {
            return Err(Refused::NotOffered);
        }
        let answer = Description::parse(answer).map_err(|_| Refused::Malformed)?;
        let place = self.sections.iter().position(|section| *section == Section::Audio).unwrap_or(0);
        let media = answer.media.get(place).filter(|media| media.kind == "audio").ok_or(Refused::NoAudio)?;
        if media.port == 0 {
            return Err(Refused::StreamRefused);
        }
        only_usable(&answer, media)?;
        let mut agreed: Vec<(u8, Codec), 8> = Vec::new();
        for number in media.payload_types() {
            if let Some(codec) = codec_of(media, number)
                && self.offered_number(codec).is_some()
            {
                let _ = agreed.push((number, codec));
            }
        }
        let chosen = *agreed.first().ok_or(Refused::NoCommonCodec)?;
        let direction = self.wanted().and(answer.direction_of(media).reversed());
        let rtcp_mux = self.local.rtcp_mux && media.attribute("rtcp-mux").is_some();
        let event = self.event_of(media, chosen.1).and_then(|(send, clock)| {
            let receive = self.formats.iter().find_map(|format| match format {
                Format::Event(number, ours) if *ours == clock => Some(*number),
                _ => None,
            })?;
            Some(EventTypes { send, receive, clock_rate: clock })
        });
        let comfort_noise = self.comfort_noise(media, chosen.1);
        Ok(StreamConfig {
            telephone_event: event,
            comfort_noise,
            ..self.stream(&answer, media, chosen, &agreed, direction, rtcp_mux)
        })
    }

    fn wanted(&self) -> Direction {
        Direction::new(true, !self.hold)
    }

    fn number_of(&self, codec: Codec) -> u8 {
        self.numbers.get(index_of(codec)).copied().unwrap_or(107)
    }

    fn offered_number(&self, codec: Codec) -> Option<u8> {
        self.formats.iter().find_map(|format| match format {
            Format::Voice(number, ours) if *ours == codec => Some(*number),
            _ => None,
        })
    }

    /// The audio section to take, its place, and the codec: the first of the offerer's that we know too.
    fn choose<'o, 'a>(
        &self,
        offer: &'o Description<'a>,
    ) -> Result<(usize, &'o Media<'a>, (u8, Codec)), Refused> {
        let mut refused = Refused::NoAudio;
        for (place, media) in offer.media.iter().enumerate() {
            if media.port == 0 {
                continue;
            }
            if media.kind == "image" {
                if refused == Refused::NoAudio {
                    refused = Refused::FaxOverT38;
                }
                continue;
            }
            if media.kind != "audio" {
                continue;
            }
            if media.protocol != "RTP/AVP" && media.protocol != "RTP/AVPF" {
                refused = Refused::Encrypted;
                continue;
            }
            let chosen = media.payload_types().find_map(|number| {
                codec_of(media, number)
                    .filter(|codec| self.local.codecs.contains(codec))
                    .map(|codec| (number, codec))
            });
            match chosen {
                Some(chosen) => return Ok((place, media, chosen)),
                None => refused = Refused::NoCommonCodec,
            }
        }
        Err(refused)
    }

    fn comfort_noise(&self, media: &Media<'_>, codec: Codec) -> Option<u8> {
        let known = media.payload_types().any(|number| number == COMFORT_NOISE);
        (self.local.comfort_noise && codec != Codec::Opus && known).then_some(COMFORT_NOISE)
    }

    /// telephone-event of the codec's clock, else of any clock.
    fn event_of(&self, media: &Media<'_>, codec: Codec) -> Option<(u8, u32)> {
        if !self.local.telephone_event {
            return None;
        }
        let events =
            || media.payload_types().filter_map(|number| Some((number, event_clock(media, number)?)));
        events().find(|(_, clock)| *clock == codec.clock_rate()).or_else(|| events().next())
    }

    fn stream(
        &self,
        description: &Description<'_>,
        media: &Media<'_>,
        chosen: (u8, Codec),
        agreed: &[(u8, Codec)],
        direction: Direction,
        rtcp_mux: bool,
    ) -> StreamConfig {
        let address = media.connection.or(description.connection).filter(|address| !address.is_unspecified());
        let remote = address.map(|address| SocketAddr::new(address, media.port));
        let remote_rtcp =
            if rtcp_mux { remote } else { remote.and_then(|remote| rtcp_address(media, remote)) };
        let mut receive = Vec::new();
        for (theirs, codec) in agreed {
            let ours = if self.offered { self.offered_number(*codec) } else { None }.unwrap_or(*theirs);
            for number in [ours, *theirs] {
                if !receive.iter().any(|(known, _)| *known == number) {
                    let _ = receive.push((number, *codec));
                }
            }
        }
        StreamConfig {
            remote,
            remote_rtcp,
            rtcp_mux,
            direction: if remote.is_some() { direction } else { direction.and(Direction::ReceiveOnly) },
            codec: chosen.1,
            send_payload_type: chosen.0,
            receive,
            packet_time: packet_time(media, self.local.packet_time, chosen.1),
            telephone_event: None,
            comfort_noise: None,
            opus: opus_parameters(media, chosen.0),
        }
    }

    /// Writes the description; the version grows when it differs from the one before.
    fn write(
        &mut self,
        protocol: &str,
        packet_time: u8,
        direction: Direction,
        rtcp_mux: bool,
    ) -> Result<(), Refused> {
        let before = self.text.clone();
        let first = before.is_empty();
        self.write_version(protocol, packet_time, direction, rtcp_mux)?;
        if !first && before != self.text {
            self.version += 1;
            self.write_version(protocol, packet_time, direction, rtcp_mux)?;
        }
        Ok(())
    }

    fn write_version(
        &mut self,
        protocol: &str,
        packet_time: u8,
        direction: Direction,
        rtcp_mux: bool,
    ) -> Result<(), Refused> {
        let mut text: String<TEXT_CAPACITY> = String::new();
        let audio = Audio {
            port: self.local.rtp_port,
            rtcp_port: self.local.rtcp_port,
            protocol,
            rtcp_mux,
            packet_time,
            direction,
            max_playback_rate: self.local.sample_rate,
        };
        let written = (|| {
            write::head(&mut text, self.session_id, self.version, self.local.address)?;
            for section in &self.sections {
                match section {
                    Section::Audio => write::audio(&mut text, &audio, &self.formats)?,
                    Section::Refused { kind, protocol, format } => {
                        write!(text, "m={kind} 0 {protocol} {format}\r\n")?
                    }
                }
            }
            Ok::<(), core::fmt::Error>(())
        })();
        written.map_err(|_| Refused::TooLong)?;
        self.text = text;
        Ok(())
    }
}

const COMFORT_NOISE: u8 = 13;

const fn index_of(codec: Codec) -> usize {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 1,
        Codec::G722 => 2,
        Codec::Opus => 3,
    }
}

/// Adds a format under `number`, or under the next dynamic number that is free.
fn add(formats: &mut Vec<Format, 8>, format: impl Fn(u8) -> Format, number: u8) {
    let taken = |number: u8| formats.iter().any(|format| format.payload_type() == number);
    let free = if taken(number) { (96..=127).find(|number| !taken(*number)) } else { Some(number) };
    if let Some(number) = free {
        let _ = formats.push(format(number));
    }
}

fn rtpmap(text: &str) -> Option<(&str, u32, &str)> {
    let mut parts = text.split('/');
    let (name, clock) = (parts.next()?, parts.next()?.trim_ascii().parse().ok()?);
    Some((name.trim_ascii(), clock, parts.next().unwrap_or("1").trim_ascii()))
}

fn codec_of(media: &Media<'_>, number: u8) -> Option<Codec> {
    let Some(text) = media.attribute_of("rtpmap", number) else {
        return Codec::ALL.into_iter().find(|codec| codec.static_payload_type() == Some(number));
    };
    let (name, clock, channels) = rtpmap(text)?;
    let codec = Codec::ALL.into_iter().find(|codec| codec.encoding_name().eq_ignore_ascii_case(name))?;
    let expected = if codec == Codec::Opus { "2" } else { "1" };
    (clock == codec.clock_rate() && channels == expected).then_some(codec)
}

fn event_clock(media: &Media<'_>, number: u8) -> Option<u32> {
    let (name, clock, _) = rtpmap(media.attribute_of("rtpmap", number)?)?;
    (name.eq_ignore_ascii_case("telephone-event") && matches!(clock, 8000 | 16_000 | 48_000)).then_some(clock)
}

/// Whether one far end can be there. An address of 0.0.0.0 says "nowhere", which is the old way to hold (RFC 3264 §8.4).
fn is_usable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, ..] = address.octets();
            let nowhere = address.is_loopback() || address.is_multicast() || address.is_link_local();
            // 0.0.0.0/8, and everything above multicast with the broadcast at its end.
            !nowhere && first != 0 && first < 240
        }
        IpAddr::V6(address) => {
            !address.is_loopback() && !address.is_multicast() && !address.is_unicast_link_local()
        }
    }
}

fn only_usable(description: &Description<'_>, media: &Media<'_>) -> Result<(), Refused> {
    let address = media.connection.or(description.connection);
    match address {
        Some(address) if !address.is_unspecified() && !is_usable(address) => Err(Refused::UnusableAddress),
        _ => Ok(()),
    }
}

/// `None`: to nobody.
fn rtcp_address(media: &Media<'_>, rtp: SocketAddr) -> Option<SocketAddr> {
    let next = rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port));
    let Some(value) = media.attribute("rtcp") else { return next };
    let mut words = value.split_ascii_whitespace();
    let Some(port) = words.next().and_then(|port| port.parse().ok()) else { return next };
    let address = words.nth(2).and_then(|address| address.parse().ok()).unwrap_or(rtp.ip());
    (port != 0 && is_usable(address)).then(|| SocketAddr::new(address, port))
}

/// The peer's wish, else ours, within its limit, in steps of 10 ms; Opus always packs 20 ms.
fn packet_time(media: &Media<'_>, ours: u8, codec: Codec) -> u8 {
    let read =
        |name| media.attribute(name).and_then(|value| value.parse::<u16>().ok()).filter(|value| *value > 0);
    let most = read("maxptime").unwrap_or(60);
    let wish = read("ptime").unwrap_or(u16::from(ours)).min(most).clamp(10, 60) / 10 * 10;
    match (codec, wish) {
        // opus-rs 0.1.40 does not follow a change of frame size; a wish is no duty (RFC 8866 §6.4).
        (Codec::Opus, _) => 20,
        _ => wish as u8,
    }
}

fn opus_parameters(media: &Media<'_>, number: u8) -> OpusParameters {
    let mut parameters = OpusParameters::default();
    let Some(text) = media.attribute_of("fmtp", number) else { return parameters };
    for part in text.split(';') {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value: Option<u32> = value.trim_ascii().parse().ok();
        match (name.trim_ascii(), value) {
            ("useinbandfec", Some(value)) => parameters.fec = value == 1,
            ("maxplaybackrate", Some(value)) => parameters.max_playback_rate = value,
            ("maxaveragebitrate", Some(value)) => parameters.max_average_bitrate = value,
            ("cbr", Some(value)) => parameters.constant_bitrate = value == 1,
            _ => {}
        }
    }
    parameters
}

/// What our description says to each `m=` line of `offer`: audio at `place`, the rest refused.
fn sections(offer: &Description<'_>, place: usize) -> Vec<Section, MOST_MEDIA> {
    offer
        .media
        .iter()
        .enumerate()
        .map(|(at, media)| {
            if at == place {
                Section::Audio
            } else {
                Section::Refused {
                    kind: clipped(media.kind),
                    protocol: clipped(media.protocol),
                    format: clipped(media.formats.first().copied().unwrap_or("0")),
                }
            }
        })
        .collect()
}

fn clipped<const N: usize>(text: &str) -> String<N> {
    let mut out = String::new();
    for character in text.chars() {
        if out.push(character).is_err() {
            break;
        }
    }
    out
}
