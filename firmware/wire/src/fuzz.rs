//! The fuzz body: every parser on any bytes, every accessor after a successful check.

use dialtone_base::frame::Checksum;

use crate::{
    ArpPacket, Embedded, EthernetHeader, EthernetView, Headers, Icmpv4View, Ipv4Header, Ipv4View, Plain,
    TcpFlags, TcpView, Transport, UdpView, plain,
};

/// Feeds `data` to everything; must neither panic nor contradict itself.
pub fn fuzz(data: &[u8]) {
    let headers = Headers::parse(data);
    if let Ok(Headers { ipv4: Some(ip), l3, .. }) = headers {
        let packet = data.get(usize::from(l3)..).unwrap_or_default();
        let header = Ipv4Header::parse(packet).expect("what Headers accepts, Ipv4Header accepts");
        assert_eq!((header.source, header.destination), (ip.source, ip.destination));
        assert!(ip.end(l3) <= data.len() && usize::from(ip.l4) <= ip.end(l3));
    }
    // The short way accepts nothing that the long way refuses, and reads the same; and everything that is plain.
    let plain = Plain::read(data);
    let expected = headers.ok().and_then(|headers| {
        let ip = headers.ipv4?;
        let is_plain =
            headers.vlan.is_none() && usize::from(ip.l4) == plain::L4 && !ip.is_fragment() && ip.ttl > 1;
        let state = TcpFlags::SYN.with(TcpFlags::FIN).with(TcpFlags::RST);
        let transport = matches!(ip.transport, Transport::Udp | Transport::Tcp(_));
        // The reserved bit of the fragment field is nothing plain.
        let reserved = data.get(usize::from(headers.l3) + 6).is_some_and(|byte| byte & 0x80 != 0);
        (is_plain && transport && !reserved).then(|| Plain {
            destination: headers.destination,
            addresses: u64::from(ip.source.to_bits()) << 32 | u64::from(ip.destination.to_bits()),
            ports: u32::from(ip.source_port) << 16 | u32::from(ip.destination_port),
            total_len: ip.total_len,
            protocol: ip.protocol,
            changes_state: matches!(ip.transport, Transport::Tcp(flags) if flags.has(state)),
        })
    });
    assert_eq!(plain, expected);
    if let Ok(view) = EthernetView::new_checked(data) {
        let header = EthernetHeader::parse(data).expect("same check");
        assert_eq!(header.buffer_len() + view.payload().len(), data.len());
    }
    let _ = ArpPacket::parse(data);
    let _ = Embedded::parse(data);
    if let Ok(view) = Ipv4View::new_truncated(data) {
        let _ = (view.options(), view.payload(), view.verify_checksum());
    }
    if let Ok(view) = UdpView::new_checked(data) {
        let _ = (view.payload(), view.verify_checksum([1, 2, 3, 4].into(), [5, 6, 7, 8].into()));
    }
    if let Ok(view) = Icmpv4View::new_checked(data) {
        let _ = (view.kind(), view.payload(), view.verify_checksum());
    }
    // The only change in place that walks untrusted structure.
    let mut copy = [0; 128];
    let length = data.len().min(copy.len());
    copy[..length].copy_from_slice(&data[..length]);
    if let Ok(mut view) = TcpView::new_checked(&mut copy[..length]) {
        let before = view.verify_checksum([1, 2, 3, 4].into(), [5, 6, 7, 8].into());
        view.clamp_mss(1200, Checksum::Complete);
        assert!(view.mss().is_none_or(|mss| mss <= 1200));
        assert_eq!(before, view.verify_checksum([1, 2, 3, 4].into(), [5, 6, 7, 8].into()));
    }
}
