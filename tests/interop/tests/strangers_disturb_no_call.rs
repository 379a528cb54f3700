//! While a call goes on, hundreds of strangers call every second, send nonsense, and scanners look for something to steal: sound goes on, memory does not
//! grow, nothing is found. What the router sends meanwhile is well-formed, evenly paced and marked for voice.

use std::time::{Duration, Instant};

use dialtone_interop::sipp::{Scenario, sdp};
use dialtone_interop::telephony::{FIRST, Manner, SIPP_NUMBER, Telephony};

const NAME: &str = "strangers_disturb_no_call";

#[test]
fn storms_nonsense_and_scanners_during_a_call() {
    let manner = Manner {
        telephony: r#", "lines": [ { "incoming": ["1001"], "call_waiting": false }, { "incoming": ["1002"] } ]"#,
        ..Manner::default()
    };
    let Some(mut telephony) = Telephony::live(NAME, &["baresip", "sipp", "tshark", "svmap"], manner) else {
        return;
    };
    let (capture, file) = telephony.capture();
    let bob = telephony.party(0);
    let phone = &telephony.telephones[0];
    phone.lift_for_dial_tone();
    phone.dial("2001#");
    bob.must_tell("CALL_ESTABLISHED", 1, 5);
    telephony.must_talk(0, 700.0, &bob, "the call");
    let router = telephony.home.router_program().id();
    let memory = resident(router);
    bob.ear.take_longest_gap();

    // 200 calls a second for ten seconds.
    let storm = Scenario::calls(SIPP_NUMBER, "", &sdp(1, "sendrecv", 8)).pauses(200);
    let mut sipp = telephony.sipp_with("storm", &storm, "-r 200 -m 2000 -l 2000 -nr");
    // Refused calls are failures to it, so only its end counts.
    let begun = Instant::now();
    sipp.wait(40);
    assert!(begun.elapsed() < Duration::from_secs(35), "the storm did not end:\n{}", sipp.output());
    println!("storm: 2000 calls in {:.1} s", begun.elapsed().as_secs_f64());
    let gap = bob.ear.take_longest_gap();
    println!("storm: the longest pause in our sound was {} ms", gap.as_millis());
    assert!(gap < Duration::from_millis(200), "our sound paused for {gap:?}");
    telephony.must_talk(0, 700.0, &bob, "the call after the storm");

    // Nonsense at the SIP port, from the operator's own address too.
    let wan = telephony.home.wan_address();
    telephony.home.operator.enter(|| nonsense(&wan));
    telephony.must_talk(0, 700.0, &bob, "the call after the nonsense");

    // Scanners.
    let scan = telephony.home.operator.shell(&format!("svmap -p5060-5062 {wan}; svwar -e100-110 {wan}"), 30);
    println!(
        "wire: svmap and svwar say {:?}",
        scan.text.lines().filter(|line| line.contains('|')).collect::<Vec<_>>()
    );
    for extension in 100..=110 {
        assert!(!scan.text.contains(&format!("| {extension} ")), "a scanner found something:\n{}", scan.text);
    }
    let grown = resident(router).saturating_sub(memory);
    println!("storm: {grown} KiB more memory than before");
    assert!(grown < 2048, "{grown} KiB more than before");

    telephony.telephones[0].hang_up();
    bob.must_tell("CALL_CLOSED", 1, 5);
    drop(capture);
    let tshark = |filter: &str, more: &str| {
        telephony
            .home
            .operator
            .must(&format!("tshark -r {} -Y '{filter}' {more} 2>/dev/null", file.display()), 60)
    };
    let ours = format!("ip.src == {wan}");
    let malformed =
        tshark(&format!("{ours} && sip && (_ws.malformed || _ws.expert.severity >= 8388608)"), "");
    assert_eq!(malformed.trim(), "", "tshark does not like what we say");
    let unmarked = tshark(&format!("{ours} && rtp && ip.dsfield.dscp != 46"), "");
    assert_eq!(unmarked.trim(), "", "sound is not marked EF");
    let streams = telephony
        .home
        .operator
        .must(&format!("tshark -r {} -q -z rtp,streams 2>/dev/null", file.display()), 60);
    let own: Vec<_> =
        streams.lines().filter(|line| line.split_whitespace().nth(2) == Some(wan.as_str())).collect();
    println!("wire: {}", own.join("\nwire: "));
    assert!(!own.is_empty() && own.iter().all(|line| line.contains(" 0 (0.0%)")), "{streams}");
}

/// Datagrams that are nearly SIP, or not at all.
fn nonsense(wan: &str) {
    let socket = std::net::UdpSocket::bind((FIRST, 5075)).expect("a socket");
    let whole = format!(
        "INVITE sip:1001@{wan} SIP/2.0\r\nVia: SIP/2.0/UDP {FIRST}:5075;branch=z9hG4bKx\r\nFrom: <sip:x@y>;tag=1\r\nTo: <sip:1001@{wan}>\r\n\
         Call-ID: nonsense\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:x@{FIRST}:5075>\r\nContent-Length: 9999\r\n\r\n"
    );
    for cut in 0..whole.len() {
        let _ = socket.send_to(&whole.as_bytes()[..cut], (wan, 5060));
        let mut spoilt = whole.clone().into_bytes();
        spoilt[cut] ^= 0x55;
        let _ = socket.send_to(&spoilt, (wan, 5060));
    }
    for method in ["BYE", "ACK", "CANCEL", "NOTIFY", "REFER", "PRACK", "UPDATE", "SUBSCRIBE", "NONSENSE"] {
        let _ = socket.send_to(whole.replace("INVITE", method).as_bytes(), (wan, 5060));
    }
    let _ = socket.send_to(&[0xff; 60_000], (wan, 5060));
}

/// Resident memory of a process, in KiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}
