//! sipp as the operator's own switch: scenarios built from steps, each a message it wants or sends.
//!
//! It lives beside the first Kamailio, which hands it the calls to its number without staying in between; calls into the home go
//! through it. It says nothing. A scenario that sees anything else than its steps fails.

use crate::telephony::{FIRST, SIPP_NUMBER, US};
use crate::{Lab, Namespace, Program};

/// Its SIP port at [`FIRST`].
pub const PORT: u16 = 5070;
/// Its media port.
const MEDIA: u16 = 7000;

/// The steps of one call, as sipp's XML.
#[derive(Default)]
pub struct Scenario {
    steps: String,
    caller: bool,
    requests: u32,
    invite: u32,
}

impl Scenario {
    /// Waits for a call from the home.
    pub fn called() -> Self {
        let remember = r#"<action><ereg regexp=".*" search_in="hdr" header="From:" assign_to="us"/><ereg regexp="sip:[^>;]*" search_in="hdr" header="Contact:" assign_to="target"/><ereg regexp=".*" search_in="hdr" header="Via:" occurrence="1" assign_to="via"/><ereg regexp=".*" search_in="hdr" header="Via:" occurrence="2" assign_to="via2"/><ereg regexp=".*" search_in="hdr" header="CSeq:" assign_to="cseq"/></action>"#;
        let mut scenario = Self { requests: 100, ..Self::default() };
        scenario.steps = format!(r#"<recv request="INVITE" rrs="true">{remember}</recv>"#);
        scenario
    }

    /// Calls the home, with more header lines and a body (SDP or nothing).
    pub fn calls(number: &str, more: &str, body: &str) -> Self {
        let mut scenario = Self { caller: true, requests: 1, invite: 1, ..Self::default() };
        let request = format!(
            "INVITE sip:{US}@voice.example.net SIP/2.0\nVia: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\n\
             From: \"sipp\" <sip:{number}@voice.example.net>;tag=[pid]c[call_number]\nTo: <sip:{US}@voice.example.net>\n\
             Call-ID: [call_id]\nCSeq: 1 INVITE\nContact: <sip:{number}@[local_ip]:[local_port]>\nMax-Forwards: 70\n{more}"
        );
        scenario.send(&request, body, true);
        scenario
    }

    /// The next message must be this request; retransmissions aside.
    pub fn wants(mut self, method: &str) -> Self {
        self.steps.push_str(&format!("<recv request=\"{method}\"/>\n"));
        self
    }

    /// The next message must be an answer of this status; earlier provisional ones may come.
    pub fn wants_status(mut self, status: u16) -> Self {
        for provisional in [100, 180, 183] {
            if status != provisional {
                self.steps.push_str(&format!("<recv response=\"{provisional}\" optional=\"true\"/>\n"));
            }
        }
        self.steps.push_str(&format!("<recv response=\"{status}\" rrs=\"true\"/>\n"));
        self
    }

    /// Answers the last request; `status` with its words. The first answers to the INVITE carry our tag.
    pub fn answers(mut self, status: &str, more: &str, body: &str) -> Self {
        let text = format!(
            "SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n\
             Contact: <sip:{SIPP_NUMBER}@[local_ip]:[local_port]>\n{more}"
        );
        self.send(&text, body, false);
        self
    }

    /// Answers the INVITE of the dialog: our tag is added.
    pub fn answers_call(mut self, status: &str, more: &str, body: &str) -> Self {
        let own = format!("Contact: <sip:{SIPP_NUMBER}@[local_ip]:[local_port]>\n");
        let contact = if more.contains("Contact:") { "" } else { &own };
        let text = format!(
            "SIP/2.0 {status}\nVia:[$via]\nVia:[$via2]\nRecord-Route: <sip:{FIRST};lr>\nFrom:[$us]\nTo: <sip:{SIPP_NUMBER}@voice.example.net>;tag=[pid]s[call_number]\nCall-ID: [call_id]\nCSeq:[$cseq]\n{contact}{more}"
        );
        let reliable = status.starts_with('2');
        self.send(&text, body, reliable);
        self
    }

    /// Sends a request inside of the dialog; an ACK is for the last INVITE.
    pub fn asks(mut self, method: &str, more: &str, body: &str) -> Self {
        if method != "ACK" {
            self.requests += 1;
        }
        if method == "INVITE" {
            self.invite = self.requests;
        }
        let cseq = if method == "ACK" { self.invite } else { self.requests };
        let text = if self.caller {
            format!(
                "{method} [next_url] SIP/2.0\nVia: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\n\
                 From: \"sipp\" <sip:{SIPP_NUMBER}@voice.example.net>;tag=[pid]c[call_number]\n\
                 To: <sip:{US}@voice.example.net>[peer_tag_param]\nCall-ID: [call_id]\nCSeq: {cseq} {method}\n\
                 Contact: <sip:{SIPP_NUMBER}@[local_ip]:[local_port]>\n[routes]\nMax-Forwards: 70\n{more}"
            )
        } else {
            format!(
                "{method} [$target] SIP/2.0\nVia: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\n\
                 From: <sip:{SIPP_NUMBER}@voice.example.net>;tag=[pid]s[call_number]\nTo:[$us]\n\
                 Call-ID: [call_id]\nCSeq: {cseq} {method}\nContact: <sip:{SIPP_NUMBER}@[local_ip]:[local_port]>\n[routes]\nMax-Forwards: 70\n{more}"
            )
        };
        self.send(&text, body, method != "ACK");
        self
    }

    /// Wants a reliable provisional answer and acknowledges it.
    pub fn takes_reliable(mut self, status: u16) -> Self {
        self.steps.push_str(&format!(
            r#"<recv response="100" optional="true"/><recv response="{status}" rrs="true"><action><ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" assign_to="rseq"/></action></recv>"#
        ));
        self.asks("PRACK", "RAck: [$rseq] 1 INVITE\n", "").wants_status(200)
    }

    /// Does nothing for so many milliseconds.
    pub fn pauses(mut self, millis: u32) -> Self {
        self.steps.push_str(&format!("<pause milliseconds=\"{millis}\"/>\n"));
        self
    }

    fn send(&mut self, head: &str, body: &str, repeated: bool) {
        let repeat = if repeated { " retrans=\"500\"" } else { "" };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
        self.steps.push_str(&format!(
            "<send{repeat}><![CDATA[\n\n{head}{kind}Content-Length: [len]\n\n{body}\n]]></send>\n"
        ));
    }

    /// Starts it.
    pub fn start(&self, lab: &Lab, operator: &Namespace, name: &str, more: &str) -> Program {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<!DOCTYPE scenario SYSTEM \"sipp.dtd\">\n<scenario name=\"{name}\">\n{}{}</scenario>\n",
            self.steps,
            match (self.caller, self.steps.contains("rseq")) {
                (true, true) => "<Reference variables=\"rseq\"/>\n",
                (true, false) => "",
                (false, _) => "<Reference variables=\"us,target,via,via2,cseq\"/>\n",
            },
        );
        let file = lab.file(&format!("{name}.xml"), &text);
        let whom = if self.caller { format!("{FIRST}:5060") } else { String::new() };
        let directory = lab.directory().display();
        let program = operator.start(
            name,
            &format!(
                "sipp -sf {} -i {FIRST} -p {PORT} -mi {FIRST} -mp {MEDIA} -nostdin -timeout 40s -timeout_error \
                 -trace_err -error_file {directory}/{name}.errors -trace_msg -message_file {directory}/{name}.messages {more} {whom}",
                file.display()
            ),
        );
        if !self.caller {
            let listens = || operator.shell("ss -lnu", 5).text.contains(&format!("{FIRST}:{PORT}"));
            assert!(crate::eventually(10, listens), "sipp does not listen:\n{}", program.output());
        }
        program
    }
}

/// A session description: direction (`sendrecv` …) and payload type (8 or 0).
pub fn sdp(version: u32, direction: &str, payload: u8) -> String {
    let name = if payload == 8 { "PCMA" } else { "PCMU" };
    format!(
        "v=0\no=sipp 1 {version} IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\nm=audio [media_port] RTP/AVP {payload} 101\n\
         a=rtpmap:{payload} {name}/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=ptime:20\na={direction}\n"
    )
}
