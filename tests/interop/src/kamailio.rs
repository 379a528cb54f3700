//! Kamailio as an operator's registrar and proxy.
//!
//! Registers the home's numbers after a digest challenge, wants the same of their calls, stays in the path of dialogs (Record-Route), and
//! knows where the parties live without their registering. What is registered lives in its memory: a restart forgets it.

use std::fmt::Write as _;

use crate::sipp::PORT;
use crate::telephony::{FIRST, SIPP_NUMBER};
use crate::{Lab, Namespace, Program};

/// The domain it serves.
pub const DOMAIN: &str = "voice.example.net";
/// The password of every number.
pub const PASSWORD: &str = "a secret of some length";

/// How one is set up.
pub struct Manner<'a> {
    /// The name of its files.
    pub name: &'a str,
    /// Its address.
    pub address: &'a str,
    /// `MD5` or `SHA-256`.
    pub algorithm: &'a str,
    /// Seconds a nonce lasts before it is stale.
    pub nonce_seconds: u32,
    /// Where parties live: number, host and port.
    pub parties: &'a [(&'a str, String)],
}

/// Starts one in `namespace` and waits until it listens.
pub fn start(lab: &Lab, namespace: &Namespace, manner: &Manner<'_>) -> Program {
    let Manner { name, address, algorithm, nonce_seconds, parties } = manner;
    let mut route = String::new();
    for (number, place) in *parties {
        let _ = writeln!(
            route,
            "    if ($rU == \"{number}\") {{ $ru = \"sip:{number}@{place}\"; route(RELAY); exit; }}"
        );
    }
    let mut config = String::new();
    for module in [
        "tm",
        "tmx",
        "sl",
        "rr",
        "pv",
        "maxfwd",
        "usrloc",
        "registrar",
        "textops",
        "siputils",
        "xlog",
        "auth",
        "nathelper",
    ] {
        let _ = writeln!(config, "loadmodule \"{module}.so\"");
    }
    let config = format!(
        r#"#!KAMAILIO
debug=2
log_stderror=yes
children=2
tcp_children=2
auto_aliases=no
dns=no
rev_dns=no
dns_try_ipv6=no
alias="{DOMAIN}"
listen=udp:{address}:5060
listen=tcp:{address}:5060
tcp_connection_lifetime=3605
{config}
modparam("auth", "algorithm", "{algorithm}")
modparam("auth", "nonce_expire", {nonce_seconds})
modparam("auth", "nonce_count", 1)
modparam("auth", "qop", "auth")
modparam("rr", "append_fromtag", 0)
modparam("registrar", "min_expires", 60)
modparam("registrar", "max_expires", 3600)
modparam("registrar|nathelper", "received_avp", "$avp(received)")
modparam("tm", "fr_timer", 5000)
modparam("tm", "fr_inv_timer", 120000)

request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if ($rU == "{SIPP_NUMBER}" && $rd == "{DOMAIN}" && !is_present_hf("Route")) {{
        if (is_method("INVITE")) {{ record_route(); }}
        $du = "sip:{FIRST}:{PORT}";
        forward();
        exit;
    }}
    force_rport();
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (has_totag()) {{
        if (loose_route()) {{
            handle_ruri_alias();
            if (is_method("INVITE|UPDATE")) {{ record_route(); set_contact_alias(); }}
            route(RELAY);
            exit;
        }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        sl_send_reply("404", "Not here");
        exit;
    }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("{DOMAIN}", "{PASSWORD}", "0")) {{ www_challenge("{DOMAIN}", "1"); exit; }}
        fix_nated_register();
        if (save("location")) {{ xlog("L_WARN", "REGISTERED $fU by $pr from $si:$sp expires $hdr(Expires) nonce count $adn\n"); }}
        exit;
    }}
    if (!is_method("INVITE|ACK|REFER|MESSAGE")) {{ sl_send_reply("489", "Bad Event"); exit; }}
    if ($fU =~ "^1") {{
        if (!pv_proxy_authenticate("{DOMAIN}", "{PASSWORD}", "0")) {{ proxy_challenge("{DOMAIN}", "1"); exit; }}
        consume_credentials();
    }}
    t_check_trans();
    record_route();
    set_contact_alias();
    xlog("L_WARN", "CALL from $fU to $rU by $pr\n");
{route}
    if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
    route(RELAY);
}}

route[RELAY] {{
    if (!t_relay()) {{ sl_reply_error(); }}
    exit;
}}

onreply_route {{
    if ($rm == "INVITE" && status =~ "^(18|2)") {{ set_contact_alias(); }}
    return 1;
}}
"#
    );
    let file = lab.file(&format!("{name}.cfg"), &config);
    let folder = lab.directory().join(format!("{name}-run"));
    std::fs::create_dir_all(&folder).expect("a folder for kamailio");
    let line = format!("kamailio -DD -E -m 32 -M 4 -f {} -Y {}", file.display(), folder.display());
    let program = namespace.start(name, &line);
    assert!(
        crate::eventually(10, || namespace
            .shell("ss -lnut", 5)
            .text
            .matches(&format!("{address}:5060"))
            .count()
            >= 2),
        "{name} does not listen:\n{}",
        program.output()
    );
    program
}
