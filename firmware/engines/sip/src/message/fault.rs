//! What is wrong with a message, and what RFC 3261 wants said about it.
//!
//! RFC 4475 and RFC 5118 are the examples. A response is never answered: a fault in one means it is dropped.

dialtone_base::counted_reasons! {
    /// Why a message was refused. All of them are the peer's fault, but [`Fault::TooManyHeaders`] and [`Fault::TooLong`], which
    /// are our limits.
    pub enum Fault {
        /// No start line, or the header section does not end.
        Truncated = "truncated",
        /// Longer than 65 535 bytes.
        TooLong = "too-long",
        /// More header lines than [`MOST_HEADERS`](super::MOST_HEADERS).
        TooManyHeaders = "too-many-headers",
        /// A CR or LF that ends no line.
        StrayLineEnd = "stray-line-end",
        /// Neither a request line nor a status line (RFC 3261 section 7.1, 7.2).
        BadStartLine = "bad-start-line",
        /// Another SIP version than 2.0.
        BadVersion = "bad-version",
        /// A Request-URI that is none (angle brackets, white space, broken escapes, headers).
        BadRequestUri = "bad-request-uri",
        /// A Request-URI of a scheme this router cannot reach.
        UnknownScheme = "unknown-scheme",
        /// A status outside 100 to 699.
        BadStatus = "bad-status",
        /// A header line without a name or colon.
        BadHeaderLine = "bad-header-line",
        /// A header twice that may come once.
        DoubledHeader = "doubled-header",
        /// No Via.
        MissingVia = "missing-via",
        /// No From.
        MissingFrom = "missing-from",
        /// No To.
        MissingTo = "missing-to",
        /// No Call-ID.
        MissingCallId = "missing-call-id",
        /// No CSeq.
        MissingCSeq = "missing-cseq",
        /// A Via that cannot be read.
        BadVia = "bad-via",
        /// A From that cannot be read.
        BadFrom = "bad-from",
        /// A To that cannot be read.
        BadTo = "bad-to",
        /// A Call-ID that is no word.
        BadCallId = "bad-call-id",
        /// A CSeq that cannot be read or exceeds 2^31.
        BadCSeq = "bad-cseq",
        /// CSeq names another method than the request line.
        CSeqMismatch = "cseq-mismatch",
        /// The same, and the method is unknown as well.
        UnknownMethodMismatch = "unknown-method-mismatch",
        /// A Max-Forwards that is no number from 0 to 255.
        BadMaxForwards = "bad-max-forwards",
        /// A Contact that cannot be read.
        BadContact = "bad-contact",
        /// A Route, Record-Route, Path or Service-Route that cannot be read.
        BadRoute = "bad-route",
        /// A Content-Length that is no number.
        BadContentLength = "bad-content-length",
        /// A datagram shorter than its Content-Length says.
        ShortBody = "short-body",
        /// A Content-Type that cannot be read.
        BadContentType = "bad-content-type",
        /// A header of another name that cannot be read, found by whoever asked for it.
        BadHeader = "bad-header",
    }
}

impl Fault {
    /// The status a request with this fault is answered with, and the reason phrase that says why.
    pub const fn answer(self) -> (u16, &'static str) {
        match self {
            Self::Truncated => (400, "Header Section Does Not End"),
            Self::TooLong => (513, "Message Too Large"),
            Self::TooManyHeaders => (513, "Too Many Headers"),
            Self::StrayLineEnd => (400, "Stray CR or LF"),
            Self::BadStartLine => (400, "Bad Request Line"),
            Self::BadVersion => (505, "Version Not Supported"),
            Self::BadRequestUri => (400, "Bad Request-URI"),
            Self::UnknownScheme => (416, "Unsupported URI Scheme"),
            Self::BadStatus => (400, "Bad Status"),
            Self::BadHeaderLine => (400, "Bad Header Line"),
            Self::DoubledHeader => (400, "Header Repeated"),
            Self::MissingVia => (400, "Missing Via"),
            Self::MissingFrom => (400, "Missing From"),
            Self::MissingTo => (400, "Missing To"),
            Self::MissingCallId => (400, "Missing Call-ID"),
            Self::MissingCSeq => (400, "Missing CSeq"),
            Self::BadVia => (400, "Bad Via"),
            Self::BadFrom => (400, "Bad From"),
            Self::BadTo => (400, "Bad To"),
            Self::BadCallId => (400, "Bad Call-ID"),
            Self::BadCSeq => (400, "Bad CSeq"),
            Self::CSeqMismatch => (400, "CSeq Names Another Method"),
            Self::UnknownMethodMismatch => (501, "Not Implemented"),
            Self::BadMaxForwards => (400, "Bad Max-Forwards"),
            Self::BadContact => (400, "Bad Contact"),
            Self::BadRoute => (400, "Bad Route"),
            Self::BadContentLength => (400, "Bad Content-Length"),
            Self::ShortBody => (400, "Body Shorter Than Content-Length"),
            Self::BadContentType => (400, "Bad Content-Type"),
            Self::BadHeader => (400, "Bad Header"),
        }
    }
}
