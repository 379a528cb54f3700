//! Which path answers with what, and the headers every answer carries.

use alloc::string::String;

use dialtone_services::stack::{TcpSocket, ZoneNet};
use dialtone_services::state::RouterState;
use picoserve::extract::{FromRequestParts, State};
use picoserve::request::RequestParts;
use picoserve::response::{File, IntoResponse, Response, StatusCode};
use picoserve::routing::{PathRouter, get, get_service};
use picoserve::time::Duration;
use picoserve::{Config, KeepAlive, Router, Server, Timeouts};

use crate::connection::{Clock, Connection};
use crate::{host, status};

/// Bytes a visitor's request head may have.
const REQUEST_HEAD: usize = 2048;
/// Bytes under way in each direction of a connection.
const SOCKET_BUFFER: usize = 4096;

/// Nothing inline, nothing from elsewhere, never in a frame.
const SECURITY_HEADERS: [(&str, &str); 4] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
];

static INDEX: File = File::with_content_type_and_headers(
    File::MIME_HTML,
    include_bytes!("../assets/index.html"),
    &SECURITY_HEADERS,
);
static SCRIPT: File =
    File::with_content_type_and_headers(File::MIME_JS, include_bytes!("../assets/app.js"), &SECURITY_HEADERS);
static STYLE: File = File::with_content_type_and_headers(
    File::MIME_CSS,
    include_bytes!("../assets/style.css"),
    &SECURITY_HEADERS,
);

/// A visitor whose machine acknowledges nothing for so long is gone.
const SILENCE: embassy_time::Duration = embassy_time::Duration::from_secs(20);

static CONFIG: Config = Config {
    timeouts: Timeouts {
        start_read_request: Duration::from_secs(2),
        persistent_start_read_request: Duration::from_secs(5),
        read_request: Duration::from_secs(5),
        write: Duration::from_secs(5),
    },
    // Every open page keeps asking: one that kept its connection as well would keep a place from the next visitor.
    connection: KeepAlive::Close,
};

/// Answers visitors on TCP `port` of `net`, one after another, for ever.
pub async fn serve(net: ZoneNet, port: u16, state: &'static RouterState) -> ! {
    let router = routes(state);
    let mut receive = alloc::vec![0; SOCKET_BUFFER];
    let mut transmit = alloc::vec![0; SOCKET_BUFFER];
    let mut head = alloc::vec![0; REQUEST_HEAD];
    loop {
        let mut socket = TcpSocket::new(net.stack, &mut receive, &mut transmit);
        let _visit = net.accept(&mut socket, port, SILENCE).await;
        // A visitor who leaves in the middle is no event worth a line.
        let _ = Server::custom(&router, Clock, &CONFIG, &mut head).serve(Connection(socket)).await;
    }
}

fn routes(state: &'static RouterState) -> Router<impl PathRouter> {
    Router::new()
        .route("/", get_service(INDEX.clone()))
        .route("/app.js", get_service(SCRIPT.clone()))
        .route("/style.css", get_service(STYLE.clone()))
        .route("/api/status", get(async |_: OurHost, State(state)| json(status::status(state))))
        .route("/api/events", get(async |_: OurHost, State(state)| json(status::events(state))))
        .with_state(state)
}

/// A JSON document that is never cached.
fn json(body: String) -> impl IntoResponse {
    Response::new(StatusCode::OK, body).with_content_type("application/json").with_headers(SECURITY_HEADERS)
}

/// Proof that the request named this router and nobody else.
struct OurHost;

impl<'r> FromRequestParts<'r, &'static RouterState> for OurHost {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(
        state: &'r &'static RouterState,
        parts: &RequestParts<'r>,
    ) -> Result<Self, Self::Rejection> {
        let named = parts.headers().get("host").and_then(|value| value.as_str().ok());
        let ours = match state.current_settings() {
            Some(settings) => host::is_ours(named, &settings.system.hostname, &settings.lan.domain),
            None => host::is_ours(named, "", ""),
        };
        if ours {
            return Ok(Self);
        }
        Err((
            StatusCode::new(421),
            "This is the router, and it was asked for under another name. Open it by its address.\n",
        ))
    }
}
