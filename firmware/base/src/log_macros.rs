//! Log lines for people: to `log` on hosts, to `defmt` on bare metal, nowhere without either.
//!
//! Text is for the edges. State changes are typed events ([`crate::event`]). Callers need neither crate as a
//! dependency. With `defmt`, arguments must implement `defmt::Format`; hand over numbers or `Debug2Format`.

// rustfmt moves a macro's macro further right each time it looks at it.
#[rustfmt::skip]
macro_rules! define_level {
    ($dollar:tt $level:ident $doc:literal) => {
        #[doc = $doc]
        #[cfg(feature = "log")]
        #[macro_export]
        macro_rules! $level {
            ($dollar($arg:tt)*) => { $crate::__log::$level!($dollar($arg)*) };
        }

        #[doc = $doc]
        #[cfg(all(feature = "defmt", not(feature = "log")))]
        #[macro_export]
        macro_rules! $level {
            ($dollar($arg:tt)*) => {{
                use $crate::__defmt as defmt;
                defmt::$level!($dollar($arg)*)
            }};
        }

        #[doc = $doc]
        #[cfg(not(any(feature = "log", feature = "defmt")))]
        #[macro_export]
        macro_rules! $level {
            ($dollar($arg:tt)*) => {{ let _ = ::core::format_args!($dollar($arg)*); }};
        }
    };
}

define_level!($ trace "For whoever debugs one packet.");
define_level!($ debug "For whoever debugs a service.");
define_level!($ info "A change of state a household might ask about.");
define_level!($ warn "Something went wrong and the router carried on.");
define_level!($ error "Something went wrong and a part of the router does not work.");
