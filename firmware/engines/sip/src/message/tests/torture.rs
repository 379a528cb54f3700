//! The torture messages of RFC 4475 and RFC 5118, and what becomes of each.
//!
//! Every case bears the name the document gives it. `{length}` in a head stands for the body's true length.

extern crate std;

use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

/// What the documents want done with a message by whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Acted upon.
    Sound,
    /// A request that is answered so.
    Answer(u16),
    /// A response that is not believed.
    Dropped,
}

/// One message.
pub struct Case {
    /// Its name in the document.
    pub id: &'static str,
    /// On the wire.
    pub bytes: Vec<u8>,
    /// What becomes of it.
    pub expected: Expected,
    /// The status a user agent server answers a sound request with, where the document says one; 0 where it does not.
    pub user_agent: u16,
}

const SDP: &str = "v=0\no=mhandley 29739 7272939 IN IP4 192.0.2.3\ns=-\nc=IN IP4 192.0.2.4\nt=0 0\nm=audio 49217 RTP/AVP 0 12\n\
                   m=video 3227 RTP/AVP 31\na=rtpmap:31 LPC\n";

fn wire(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn case(id: &'static str, expected: Expected, head: &str, body: &str) -> Case {
    let body = wire(body);
    let mut bytes = wire(&head.replace("{length}", &body.len().to_string()));
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    Case { id, bytes, expected, user_agent: 0 }
}

fn answered(case: Case, user_agent: u16) -> Case {
    Case { user_agent, ..case }
}

/// RFC 4475 section 3.1.1: valid messages.
fn valid() -> Vec<Case> {
    use Expected::Sound;
    let long = |count: usize, text: &str| text.repeat(count);
    let mut longreq = String::new();
    longreq.push_str(&format!(
        "INVITE sip:user@example.com SIP/2.0\nTo: \"I have a user name of {} proportion\"<sip:user@example.com:6000;unknownparam1=very{}value;\
         longparam{}name=shortvalue;very{}ParameterNameWithNoValue>\nF: sip:{}@example.net;tag=12{}424;unknownheaderparam{}name=unknownheaderparam{}value;\
         unknownValueless{}paramname\nCall-ID: longreq.one{}longcallid\nCSeq: 3882340 INVITE\nUnknown-{}-Name: unknown-{}-value; unknown-{}-parameter-name = \
         unknown-{}-parameter-value\n",
        long(5, "extreme"), long(20, "long"), long(25, "long"), long(25, "long"), long(5, "amazinglylongcallername"), long(50, "982"),
        long(20, "long"), long(15, "long"), long(10, "long"), long(20, "really"), long(20, "long"), long(20, "long"), long(20, "long"), long(20, "long"),
    ));
    longreq.push_str("Via: SIP/2.0/TCP sip33.example.com\n");
    for hop in (1..33).rev() {
        longreq.push_str(&format!("v: SIP/2.0/TCP sip{hop}.example.com\n"));
    }
    longreq.push_str(&format!(
        "V: SIP/2.0/TCP host.example.com;received=192.0.2.5;branch=very{}branchvalue\nMax-Forwards: 70\n",
        long(50, "long")
    ));
    longreq.push_str(&format!(
        "Contact: <sip:{}@host5.example.net>\nContent-Type: application/sdp\nl: {{length}}\n",
        long(5, "amazinglylongcallername")
    ));

    let mut noisy = case(
        "intmeth",
        Sound,
        "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)\
         @example.com SIP/2.0\nVia: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~\n\
         To: \"BEL:\\\u{7} NUL:\\\u{0} DEL:\\\u{7f}\" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>\n\
         From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"\u{440}\u{430}\u{431}\u{43e}\u{442}\u{430}\
         \u{44e}\u{449}\u{438}\u{439}\";tag=_token~1'+`*%!-.\nCall-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\n\
         CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~\nMax-Forwards: 255\n\
         extensionHeader-!.%*+_`'~:\u{feff}\u{5927}\u{505c}\u{96fb}\nContent-Length: 0\n",
        "",
    );
    noisy.user_agent = 501;
    let mut mpart = wire(
        "MESSAGE sip:kumiko@example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport\n\
         Max-Forwards: 70\nRoute: <sip:127.0.0.1:5080>\nIdentity: r5mwreLuyDRYBi/0TiPwEsY3rEVsk/G2WxhgTV1PF7hHuLIK0YWVKZhKv9Mj8UeXqkMVbnVq37CD+813gvYjcBUaZngQmXc9WNZSDN\
         GCzA+fWl9MEUHWIZo1CeJebdY/XlgKeTa0Olvq0rt70Q5jiSfbqMJmQFteeivUhkMWYUA=\nContact: <sip:fluffy@127.0.0.1:5070>\nTo: <sip:kumiko@example.org>\n\
         From: <sip:fluffy@example.com>;tag=2fb0dcc9\nCall-ID: 3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..\nCSeq: 1 MESSAGE\nContent-Transfer-Encoding: binary\n\
         Content-Type: multipart/mixed;boundary=7a9cbec02ceef655\nDate: Sat, 15 Oct 2005 04:44:56 GMT\nUser-Agent: SIPimp.org/0.2.5 (curses)\nContent-Length: 66\n\n",
    );
    mpart.extend_from_slice(b"--7a9cbec02ceef655\r\nContent-Transfer-Encoding: binary\r\n\r\n\x30\x82\x01\x00\x00\xff\x2a\x86\x48");

    vec![
        answered(
            case(
                "wsinv",
                Sound,
                "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\nTO :\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\n\
                 from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\n  ;\n  tag = 98asjd8\nMaX-fOrWaRdS: 0068\nCall-ID: wsinv.ndaksdj@192.0.2.1\n\
                 Content-Length   : {length}\ncseq: 0009\n  INVITE\nVia  : SIP  /   2.0\n /UDP\n    192.0.2.2;branch=390skdjuw\ns :\n\
                 NewFangledHeader:   newfangled value\n continued newfangled value\nUnknownHeaderWithUnusualValue: ;;,,;;,;\nContent-Type: application/sdp\n\
                 Route:\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\nv:  SIP  / 2.0  / TCP     spindle.example.com   ;\n  branch  =   z9hG4bK9ikj8  ,\n \
                 SIP  /    2.0   / UDP  192.168.255.111   ; branch=\n z9hG4bK30239\nm:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\n      newvalue ;\n  \
                 secondparam ; q = 0.33\n",
                SDP,
            ),
            481,
        ),
        noisy,
        case(
            "esc01",
            Sound,
            "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0\nTo: sip:%75se%72@example.com\nFrom: <sip:I%20have%20spaces@example.net>;tag=938\nMax-Forwards: 87\n\
             i: esc01.239409asdfakjkn23onasd0-3234\nCSeq: 234234 INVITE\nVia: SIP/2.0/UDP host5.example.net;branch=z9hG4bKkdjuw\nC: application/sdp\n\
             Contact:\n  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>\nContent-Length: {length}\n",
            SDP,
        ),
        case(
            "escnull",
            Sound,
            "REGISTER sip:example.com SIP/2.0\nTo: sip:null-%00-null@example.com\nFrom: sip:null-%00-null@example.com;tag=839923423\nMax-Forwards: 70\n\
             Call-ID: escnull.39203ndfvkjdasfkq3w4otrq0adsfdfnavd\nCSeq: 14398234 REGISTER\nVia: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw\n\
             Contact: <sip:%00@host5.example.com>\nContact: <sip:%00%00@host5.example.com>\nL:0\n",
            "",
        ),
        answered(
            case(
                "esc02",
                Sound,
                "RE%47IST%45R sip:registrar.example.com SIP/2.0\nTo: \"%Z%45\" <sip:resource@example.com>\nFrom: \"%Z%45\" <sip:resource@example.com>;tag=f232jadfj23\n\
                 Call-ID: esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf\nVia: SIP/2.0/TCP host.example.com;branch=z9hG4bK209%fzsnel234\nCSeq: 29344 RE%47IST%45R\n\
                 Max-Forwards: 70\nContact: <sip:alias1@host1.example.com>\nC%6Fntact: <sip:alias2@host2.example.com>\nContact: <sip:alias3@host3.example.com>\nl: 0\n",
                "",
            ),
            501,
        ),
        case(
            "lwsdisp",
            Sound,
            "OPTIONS sip:user@example.com SIP/2.0\nTo: sip:user@example.com\nFrom: caller<sip:caller@example.com>;tag=323\nMax-Forwards: 70\n\
             Call-ID: lwsdisp.1234abcd@funky.example.com\nCSeq: 60 OPTIONS\nVia: SIP/2.0/UDP funky.example.com;branch=z9hG4bKkdjuw\nl: 0\n",
            "",
        ),
        case("longreq", Sound, &longreq, SDP),
        case(
            "dblreq",
            Sound,
            "REGISTER sip:example.com SIP/2.0\nTo: sip:j.user@example.com\nFrom: sip:j.user@example.com;tag=43251j3j324\nMax-Forwards: 8\n\
             I: dblreq.0ha0isndaksdj99sdfafnl3lk233412\nContact: sip:j.user@host.example.com\nCSeq: 8 REGISTER\nVia: SIP/2.0/UDP 192.0.2.125;branch=z9hG4bKkdjuw23492\n\
             Content-Length: 0\n",
            "\n\nINVITE sip:joe@example.com SIP/2.0\nt: sip:joe@example.com\nFrom: sip:caller@example.net;tag=141334\nMax-Forwards: 8\n\
             Call-ID: dblreq.0ha0isnda977644900765@192.0.2.15\nCSeq: 8 INVITE\nVia: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw380234\nContent-Type: application/sdp\n\
             Content-Length: 150\n\nv=0\n",
        ),
        case(
            "semiuri",
            Sound,
            "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0\nTo: sip:j_user@example.com\nFrom: sip:caller@example.org;tag=33242\nMax-Forwards: 3\n\
             Call-ID: semiuri.0ha0isndaksdj\nCSeq: 8 OPTIONS\nAccept: application/sdp, application/pkcs7-mime,\n        multipart/mixed, multipart/signed,\n        \
             message/sip, message/sipfrag\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw\nl: 0\n",
            "",
        ),
        case(
            "transports",
            Sound,
            "OPTIONS sip:user@example.com SIP/2.0\nTo: sip:user@example.com\nFrom: <sip:caller@example.com>;tag=323\nMax-Forwards: 70\n\
             Call-ID:  transports.kijh4akdnaqjkwendsasfdj\nAccept: application/sdp\nCSeq: 60 OPTIONS\nVia: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw\n\
             Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf\nVia: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj\n\
             Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en\nVia: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee\nl: 0\n",
            "",
        ),
        Case { id: "mpart01", bytes: mpart, expected: Sound, user_agent: 0 },
        case(
            "unreason",
            Sound,
            "SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e} \u{441}\u{442}\u{43e} \u{434}\u{435}\u{432}\u{44f}\u{43d}\u{43e}\u{441}\u{442}\u{43e} - \u{43f}\u{440}\u{43e}\u{441}\u{442}\u{43e}\u{435}\n\
             Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\nCall-ID: unreason.1234ksdfak3j2erwedfsASdf\nCSeq: 35 INVITE\nFrom: sip:user@example.com;tag=11141343\n\
             To: sip:user@example.edu;tag=2229\nContent-Length: {length}\nContent-Type: application/sdp\nContact: <sip:user@host198.example.com>\n",
            SDP,
        ),
        case(
            "noreason",
            Sound,
            "SIP/2.0 100 \nVia: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe\nCall-ID: noreason.asndj203insdf99223ndf\nCSeq: 35 INVITE\n\
             From: <sip:user@example.com>;tag=39ansfi3\nTo: <sip:user@example.edu>;tag=902jndnke3\nContent-Length: 0\nContact: <sip:user@host105.example.com>\n",
            "",
        ),
    ]
}

/// RFC 4475 section 3.1.2: invalid messages.
fn invalid() -> Vec<Case> {
    use Expected::{Answer, Dropped, Sound};
    let invite = |id: &'static str, expected, line: &str, extra: &str| {
        case(
            id,
            expected,
            &format!(
                "{line}\nTo: sip:user@example.com\nFrom: sip:caller@example.net;tag=8814\nMax-Forwards: 70\nCall-ID: {id}.1@192.0.2.5\nCSeq: 1893884 INVITE\n\
                 Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKkdjuw3923\nContact: <sip:caller@host5.example.net>\n{extra}Content-Type: application/sdp\nContent-Length: {{length}}\n"
            ),
            SDP,
        )
    };
    vec![
        case(
            "badinv01",
            Answer(400),
            "INVITE sip:user@example.com SIP/2.0\nTo: sip:j.user@example.com\nFrom: sip:caller@example.net;tag=134161461246\nMax-Forwards: 7\n\
             Call-ID: badinv01.0ha0isndaksdjasdf3234nas\nCSeq: 8 INVITE\nVia: SIP/2.0/UDP 192.0.2.15;;,;,,\nContact: \"Joe\" <sip:joe@example.org>;;;;\n\
             Content-Length: {length}\nContent-Type: application/sdp\n",
            SDP,
        ),
        case(
            "clerr",
            Answer(400),
            "INVITE sip:user@example.com SIP/2.0\nMax-Forwards: 80\nTo: sip:j.user@example.com\nFrom: sip:caller@example.net;tag=93942939o2\nContact: <sip:caller@hungry.example.net>\n\
             Call-ID: clerr.0ha0isndaksdjweiafasdk3\nCSeq: 8 INVITE\nVia: SIP/2.0/UDP host5.example.com;branch=z9hG4bK-39234-23523\nContent-Type: application/sdp\nContent-Length: 9999\n",
            SDP,
        ),
        case(
            "ncl",
            Answer(400),
            "INVITE sip:user@example.com SIP/2.0\nMax-Forwards: 254\nTo: sip:j.user@example.com\nFrom: sip:caller@example.net;tag=32394234\nCall-ID: ncl.0ha0isndaksdj2193423r542w35\n\
             CSeq: 0 INVITE\nVia: SIP/2.0/UDP 192.0.2.53;branch=z9hG4bKkdjuw\nContact: <sip:caller@example53.example.net>\nContent-Type: application/sdp\nContent-Length: -999\n",
            SDP,
        ),
        case(
            "scalar02",
            Answer(400),
            "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/TCP host129.example.com;branch=z9hG4bK342sdfoi3\nTo: <sip:user@example.com>\n\
             From: <sip:user@example.com>;tag=239232jh3\nCSeq: 36893488147419103232 REGISTER\nCall-ID: scalar02.23o0pd9vanlq3wnrlnewofjas9ui32\nMax-Forwards: 300\n\
             Expires: 10000000000000000000000000000000000000000\nContact: <sip:user@host129.example.com>\n  ;expires=280297596632815\nContent-Length: 0\n",
            "",
        ),
        case(
            "scalarlg",
            Dropped,
            "SIP/2.0 503 Service Unavailable\nVia: SIP/2.0/TCP host129.example.com;branch=z9hG4bKzzxdiwo34sw;received=192.0.2.129\nTo: <sip:user@example.com>\n\
             From: <sip:other@example.net>;tag=2easdjfejw\nCSeq: 9292394834772304023312 OPTIONS\nCall-ID: scalarlg.noase0of0234hn2qofoaf0232aewf2394r\n\
             Retry-After: 949302838503028349304023988\nWarning: 1812 overture \"In Progress\"\nContent-Length: 0\n",
            "",
        ),
        case(
            "quotbal",
            Answer(400),
            "INVITE sip:user@example.com SIP/2.0\nTo: \"Mr. J. User <sip:j.user@example.com>\nFrom: sip:caller@example.net;tag=93334\nMax-Forwards: 10\n\
             Call-ID: quotbal.aksdj\nContact: <sip:caller@host59.example.net>\nCSeq: 8 INVITE\nVia: SIP/2.0/UDP 192.0.2.59:5050;branch=z9hG4bKkdjuw39234\n\
             Content-Type: application/sdp\nContent-Length: {length}\n",
            SDP,
        ),
        invite("ltgtruri", Answer(400), "INVITE <sip:user@example.com> SIP/2.0", ""),
        invite("lwsruri", Answer(400), "INVITE sip:user@example.com; lr SIP/2.0", ""),
        invite("lwsstart", Answer(400), "INVITE  sip:user@example.com  SIP/2.0", ""),
        case(
            "trws",
            Answer(400),
            "OPTIONS sip:remote-target@example.com SIP/2.0  \nVia: SIP/2.0/TCP host1.example.com;branch=z9hG4bK299342093\nTo: <sip:remote-target@example.com>\n\
             From: <sip:local-resource@example.com>;tag=329429089\nCall-ID: trws.oicu34958239neffasdhr2345r\nAccept: application/sdp\nCSeq: 238923 OPTIONS\nMax-Forwards: 70\nContent-Length: 0\n",
            "",
        ),
        invite("escruri", Answer(400), "INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", ""),
        // Nobody here reads Date, so its zone is nobody's fault.
        invite(
            "baddate",
            Sound,
            "INVITE sip:user@example.com SIP/2.0",
            "Date: Fri, 01 Jan 2010 16:00:00 EST\n",
        ),
        case(
            "regbadct",
            Answer(400),
            "REGISTER sip:example.com SIP/2.0\nTo: sip:user@example.com\nFrom: sip:user@example.com;tag=998332\nMax-Forwards: 70\nCall-ID: regbadct.k345asrl3fdbv@10.0.0.1\n\
             CSeq: 1 REGISTER\nVia: SIP/2.0/UDP 135.180.130.133:5060;branch=z9hG4bKkdjuw\nContact: sip:user@example.com?Route=%3Csip:sip.example.com%3E\nl: 0\n",
            "",
        ),
        // White space inside angle brackets is harmless: liberal, as the document allows.
        case(
            "badaspec",
            Sound,
            "OPTIONS sip:user@example.org SIP/2.0\nVia: SIP/2.0/UDP host4.example.com:5060;branch=z9hG4bKkdju43234\nMax-Forwards: 70\nFrom: \"Bell, Alexander\" <sip:a.g.bell@example.com>;tag=433423\n\
             To: \"Watson, Thomas\" < sip:t.watson@example.org >\nCall-ID: badaspec.sdf0234n2nds0a099u23h3hnnw009cdkne3\nAccept: application/sdp\nCSeq: 3923239 OPTIONS\nl: 0\n",
            "",
        ),
        case(
            "baddn",
            Answer(400),
            "OPTIONS sip:t.watson@example.org SIP/2.0\nVia: SIP/2.0/UDP c.example.com:5060;branch=z9hG4bKkdjuw\nMax-Forwards: 70\nFrom: Bell, Alexander <sip:a.g.bell@example.com>;tag=43\n\
             To: Watson, Thomas <sip:t.watson@example.org>\nCall-ID: baddn.31415@c.example.com\nAccept: application/sdp\nCSeq: 3923239 OPTIONS\nl: 0\n",
            "",
        ),
        case(
            "badvers",
            Answer(505),
            "OPTIONS sip:t.watson@example.org SIP/7.0\nVia: SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw\nMax-Forwards: 70\nFrom: A. Bell <sip:a.g.bell@example.com>;tag=qweoiqpe\n\
             To: T. Watson <sip:t.watson@example.org>\nCall-ID: badvers.31417@c.example.com\nCSeq: 1 OPTIONS\nl: 0\n",
            "",
        ),
        case(
            "mismatch01",
            Answer(400),
            "OPTIONS sip:user@example.com SIP/2.0\nTo: sip:j.user@example.com\nFrom: sip:caller@example.net;tag=34525\nMax-Forwards: 6\nCall-ID: mismatch01.dj0234sxdfl3\nCSeq: 8 INVITE\n\
             Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw\nl: 0\n",
            "",
        ),
        case(
            "mismatch02",
            Answer(501),
            "NEWMETHOD sip:user@example.com SIP/2.0\nTo: sip:j.user@example.com\nFrom: sip:caller@example.net;tag=34525\nMax-Forwards: 6\nCall-ID: mismatch02.dj0234sxdfl3\nCSeq: 8 INVITE\n\
             Contact: <sip:caller@host.example.net>\nVia: SIP/2.0/UDP host.example.net;branch=z9hG4bKkdjuw\nContent-Type: application/sdp\nl: {length}\n",
            SDP,
        ),
        case(
            "bigcode",
            Dropped,
            "SIP/2.0 4294967301 better not break the receiver\nVia: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe\nCall-ID: bigcode.asdof3uj203asdnf3429uasdhfas3ehjasdfas9i\n\
             CSeq: 353494 INVITE\nFrom: <sip:user@example.com>;tag=39ansfi3\nTo: <sip:user@example.edu>;tag=902jndnke3\nContent-Length: 0\nContact: <sip:user@host105.example.com>\n",
            "",
        ),
    ]
}

/// RFC 4475 sections 3.2 to 3.4: transactions, applications, old peers.
fn beyond_syntax() -> Vec<Case> {
    use Expected::{Answer, Sound};
    vec![
        case(
            "badbranch",
            Sound,
            "OPTIONS sip:user@example.com SIP/2.0\nTo: sip:user@example.com\nFrom: sip:caller@example.org;tag=33242\nMax-Forwards: 3\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK\n\
             Accept: application/sdp\nCall-ID: badbranch.sadonfo23i420jv0as0derf3j3n\nCSeq: 8 OPTIONS\nl: 0\n",
            "",
        ),
        case(
            "insuf",
            Answer(400),
            "INVITE sip:user@example.com SIP/2.0\nCSeq: 193942 INVITE\nVia: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf\nContent-Type: application/sdp\nl: {length}\n",
            SDP,
        ),
        case(
            "unkscm",
            Answer(416),
            "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0\nTo: sip:user@example.com\nFrom: sip:caller@example.net;tag=384\nMax-Forwards: 3\nCall-ID: unkscm.nasdfasser0q239nwsdfasdkl34\n\
             CSeq: 3923423 OPTIONS\nVia: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234\nContent-Length: 0\n",
            "",
        ),
        case(
            "novelsc",
            Answer(416),
            "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0\nTo: sip:user@example.com\nFrom: sip:caller@example.net;tag=384\nMax-Forwards: 3\nCall-ID: novelsc.asdfasser0q239nwsdfasdkl34\n\
             CSeq: 3923423 OPTIONS\nVia: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234\nContent-Length: 0\n",
            "",
        ),
        case(
            "unksm2",
            Sound,
            "REGISTER sip:example.com SIP/2.0\nTo: isbn:2983792873\nFrom: <http://www.example.com>;tag=3234233\nCall-ID: unksm2.daksdj@hyphenated-host.example.com\nCSeq: 234902 REGISTER\nMax-Forwards: 70\n\
             Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bKkdjuw\nContact: <name:John_Smith>\nl: 0\n",
            "",
        ),
        answered(
            case(
                "bext01",
                Sound,
                "OPTIONS sip:user@example.com SIP/2.0\nTo: sip:j_user@example.com\nFrom: sip:caller@example.net;tag=242etr\nMax-Forwards: 6\nCall-ID: bext01.0ha0isndaksdj\n\
                 Require: nothingSupportsThis, nothingSupportsThisEither\nProxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis\nCSeq: 8 OPTIONS\n\
                 Via: SIP/2.0/TLS fold-and-staple.example.com;branch=z9hG4bKkdjuw\nContent-Length: 0\n",
                "",
            ),
            420,
        ),
        answered(
            case(
                "invut",
                Sound,
                "INVITE sip:user@example.com SIP/2.0\nContact: <sip:caller@host5.example.net>\nTo: sip:j.user@example.com\nFrom: sip:caller@example.net;tag=8392034\nMax-Forwards: 70\n\
                 Call-ID: invut.0ha0isndaksdjadsfij34n23d\nCSeq: 235448 INVITE\nVia: SIP/2.0/UDP somehost.example.com;branch=z9hG4bKkdjuw\nContent-Type: application/unknownformat\nContent-Length: {length}\n",
                "<audio>\n <pcmu port=\"443\"/>\n</audio>\n",
            ),
            415,
        ),
        case(
            "regaut01",
            Sound,
            "REGISTER sip:example.com SIP/2.0\nTo: sip:j.user@example.com\nFrom: sip:j.user@example.com;tag=87321hj23128\nMax-Forwards: 8\nCall-ID: regaut01.0ha0isndaksdj\nCSeq: 9338 REGISTER\n\
             Via: SIP/2.0/TCP 192.0.2.253;branch=z9hG4bKkdjuw\nAuthorization: NoOneKnowsThisScheme opaque-data=here\nContent-Length:0\n",
            "",
        ),
        case(
            "multi01",
            Answer(400),
            "INVITE sip:user@company.com SIP/2.0\nContact: <sip:caller@host25.example.net>\nVia: SIP/2.0/UDP 192.0.2.25;branch=z9hG4bKkdjuw\nMax-Forwards: 70\nCSeq: 5 INVITE\n\
             Call-ID: multi01.98asdh@192.0.2.1\nCSeq: 59 INVITE\nCall-ID: multi01.98asdh@192.0.2.2\nFrom: sip:caller@example.com;tag=3413415\nTo: sip:user@example.com\n\
             To: sip:other@example.net\nFrom: sip:caller@example.net;tag=2923420123\nContent-Type: application/sdp\nl: {length}\nContact: <sip:caller@host36.example.net>\nMax-Forwards: 5\n",
            SDP,
        ),
        case(
            "mcl01",
            Answer(400),
            "OPTIONS sip:user@example.com SIP/2.0\nVia: SIP/2.0/UDP host5.example.net;branch=z9hG4bK293423\nTo: sip:user@example.com\nFrom: sip:other@example.net;tag=3923942\n\
             Call-ID: mcl01.fhn2323orihawfdoa3o4r52o3irsdf\nCSeq: 15932 OPTIONS\nContent-Length: 13\nMax-Forwards: 60\nContent-Length: 5\nContent-Type: text/plain\n",
            "There's no way to know how many octets are supposed to be here.",
        ),
        case(
            "bcast",
            Sound,
            "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\nVia: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23\nCall-ID: bcast.0384840201234ksdfak3j2erwedfsASdf\n\
             CSeq: 35 INVITE\nFrom: sip:user@example.com;tag=11141343\nTo: sip:user@example.edu;tag=2229\nContent-Length: {length}\nContent-Type: application/sdp\nContact: <sip:user@host28.example.com>\n",
            SDP,
        ),
        answered(
            case(
                "zeromf",
                Sound,
                "OPTIONS sip:user@example.com SIP/2.0\nTo: sip:user@example.com\nFrom: sip:caller@example.net;tag=3ghsd41\nCall-ID: zeromf.jfasdlfnm2o2l43r5u0asdfas\nCSeq: 39234321 OPTIONS\n\
                 Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw2349i\nMax-Forwards: 0\nContent-Length: 0\n",
                "",
            ),
            200,
        ),
        case(
            "cparam01",
            Sound,
            "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw\nMax-Forwards: 70\nFrom: sip:watson@example.com;tag=DkfVgjkrtMwaerKKpe\nTo: sip:watson@example.com\n\
             Call-ID: cparam01.70710@saturn.example.com\nCSeq: 2 REGISTER\nContact: sip:+19725552222@gw1.example.net;unknownparam\nl: 0\n",
            "",
        ),
        case(
            "cparam02",
            Sound,
            "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw\nMax-Forwards: 70\nFrom: sip:watson@example.com;tag=838293\nTo: sip:watson@example.com\n\
             Call-ID: cparam02.70710@saturn.example.com\nCSeq: 3 REGISTER\nContact: <sip:+19725552222@gw1.example.net;unknownparam>\nl: 0\n",
            "",
        ),
        case(
            "regescrt",
            Sound,
            "REGISTER sip:example.com SIP/2.0\nTo: sip:user@example.com\nFrom: sip:user@example.com;tag=8\nMax-Forwards: 70\nCall-ID: regescrt.k345asrl3fdbv@192.0.2.1\nCSeq: 14398234 REGISTER\n\
             Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw\nM: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>\nL:0\n",
            "",
        ),
        answered(
            case(
                "sdp01",
                Sound,
                "INVITE sip:user@example.com SIP/2.0\nTo: sip:j_user@example.com\nContact: <sip:caller@host15.example.net>\nFrom: sip:caller@example.net;tag=234\nMax-Forwards: 5\n\
                 Call-ID: sdp01.ndaksdj9342dasdd\nAccept: text/nobodyKnowsThis\nCSeq: 8 INVITE\nVia: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw\nContent-Length: {length}\nContent-Type: application/sdp\n",
                SDP,
            ),
            406,
        ),
        case(
            "inv2543",
            Sound,
            "INVITE sip:UserB@example.com SIP/2.0\nVia: SIP/2.0/UDP iftgw.example.com\nFrom: <sip:+13035551111@ift.client.example.net;user=phone>\n\
             Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>\nTo: sip:+16505552222@ss1.example.net;user=phone\nCall-ID: inv2543.1717@ift.client.example.com\nCSeq: 56 INVITE\nContent-Type: application/sdp\n",
            SDP,
        ),
    ]
}

/// All 49 messages of RFC 4475.
pub fn rfc4475() -> Vec<Case> {
    let mut all = valid();
    all.extend(invalid());
    all.extend(beyond_syntax());
    all
}

/// The messages of RFC 5118.
pub fn rfc5118() -> Vec<Case> {
    use Expected::{Answer, Sound};
    let request = |id: &'static str, expected, line: &str, via: &str, rest: &str, body: &str| {
        let method = line.split(' ').next().unwrap_or_default();
        case(
            id,
            expected,
            &format!(
                "{line}\nFrom: sip:user@example.com;tag=81x2\n{via}Call-ID: SSG9559905523997077@hlau_4100\nMax-Forwards: 70\nCSeq: 98176 {method}\n{rest}Content-Length: {{length}}\n"
            ),
            body,
        )
    };
    const VIA: &str = "Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111\n";
    const USER: &str = "To: sip:user@example.com\n";
    const CALLER: &str = "To: sip:user@example.com\nContact: \"Caller\" <sip:caller@[2001:db8::1]>\n";
    vec![
        request("ipv6-good", Sound, "REGISTER sip:[2001:db8::10] SIP/2.0", VIA, CALLER, ""),
        request("ipv6-bad", Answer(400), "REGISTER sip:2001:db8::10 SIP/2.0", VIA, CALLER, ""),
        request("port-ambiguous", Sound, "REGISTER sip:[2001:db8::10:5070] SIP/2.0", VIA, CALLER, ""),
        request("port-unambiguous", Sound, "REGISTER sip:[2001:db8::10]:5070 SIP/2.0", VIA, CALLER, ""),
        request(
            "via-received-param-with-delim",
            Sound,
            "BYE sip:[2001:db8::10] SIP/2.0",
            "Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111\n",
            "To: sip:user@example.com;tag=bd76ya\n",
            "",
        ),
        request(
            "via-received-param-no-delim",
            Sound,
            "OPTIONS sip:[2001:db8::10] SIP/2.0",
            "Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3\n",
            USER,
            "",
        ),
        request(
            "ipv6-in-sdp",
            Sound,
            "INVITE sip:user@[2001:db8::10] SIP/2.0",
            "Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-111\n",
            "To: sip:user@[2001:db8::10]\nContact: \"Caller\" <sip:caller@[2001:db8::20]>\nContent-Type: application/sdp\n",
            "v=0\no=assistant 971731711378798081 0 IN IP6 2001:db8::20\ns=Live video feed for today's meeting\nc=IN IP6 2001:db8::20\nt=3338481189 3370017201\nm=audio 6000 RTP/AVP 2\n",
        ),
        request(
            "mult-ip-in-header",
            Sound,
            "BYE sip:user@host.example.net SIP/2.0",
            "Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144\n\
             Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200\n",
            "To: <sip:user@host.example.net>;tag=3\n",
            "",
        ),
        request(
            "mult-ip-in-sdp",
            Sound,
            "INVITE sip:user@[2001:db8::10] SIP/2.0",
            VIA,
            "To: sip:user@[2001:db8::10]\nContact: \"Caller\" <sip:caller@[2001:db8::9:1]>\nContent-Type: application/sdp\n",
            "v=0\no=bob 280744730 28977631 IN IP4 host.example.com\ns=\nt=0 0\nm=audio 22334 RTP/AVP 0\nc=IN IP4 192.0.2.1\nm=video 6024 RTP/AVP 107\nc=IN IP6 2001:db8::1\n",
        ),
        request(
            "ipv4-mapped-ipv6",
            Sound,
            "INVITE sip:user@example.com SIP/2.0",
            "Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19\nVia: SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKas3-111\n",
            "To: sip:user@example.com\nContact: \"T. desk phone\" <sip:ted@[::ffff:192.0.2.2]>\nContent-Type: application/sdp\n",
            "v=0\no=assistant 971731711378798081 0 IN IP6 ::ffff:192.0.2.2\ns=Call me soon, please!\nc=IN IP6 ::ffff:192.0.2.2\nt=3338481189 3370017201\nm=audio 6000 RTP/AVP 2\n",
        ),
        request(
            "ipv6-bug-abnf-3-colons",
            Sound,
            "OPTIONS sip:user@[2001:db8:::192.0.2.1] SIP/2.0",
            "Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111\n",
            "To: sip:user@[2001:db8:::192.0.2.1]\n",
            "",
        ),
        request(
            "ipv6-correct-abnf-2-colons",
            Sound,
            "OPTIONS sip:user@[2001:db8::192.0.2.1] SIP/2.0",
            "Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111\n",
            "To: sip:user@[2001:db8::192.0.2.1]\n",
            "",
        ),
    ]
}

/// Both documents' messages.
pub fn all() -> Vec<Case> {
    let mut all = rfc4475();
    all.extend(rfc5118());
    all
}
