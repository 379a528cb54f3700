//! A module's pins on Linux: lines of a GPIO character device, through `linux-embedded-hal`.
//!
//! The kernel keeps an output as it was when its program ends, and a module must not be left ringing. So outputs are shared with a
//! [`Parking`], which puts the module to rest when the router ends in order, and the guardian process does it ([`Wiring::park`]) however it ends.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use dialtone_slic_ag1171::Pins;
use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use linux_embedded_hal::CdevPin;
use linux_embedded_hal::gpio_cdev::{Chip, LineRequestFlags};

/// Which lines of which chip the module's pins are wired to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wiring {
    /// `gpiochip0`, or a path.
    pub chip: String,
    /// RM.
    pub ring_mode: u32,
    /// F/R.
    pub forward: u32,
    /// SHK.
    pub hook: u32,
    /// PD, where it is wired.
    pub power_down: Option<u32>,
}

/// A pin that somebody else may hold too.
pub struct Shared<P>(Rc<RefCell<P>>);

/// Puts the module to rest when dropped.
pub struct Parking<P: OutputPin = CdevPin> {
    ring_mode: Shared<P>,
    forward: Shared<P>,
}

/// The module's pins as this file opens them.
pub type ModulePins<P = CdevPin, H = CdevPin> = Pins<Shared<P>, Shared<P>, H, P>;

impl Wiring {
    /// Takes the lines: RM low, F/R high, PD released.
    ///
    /// # Errors
    /// With the chip, the line and who uses it, if somebody does.
    pub fn open(&self) -> io::Result<(ModulePins, Parking)> {
        let path = match self.chip.contains('/') {
            true => self.chip.clone(),
            false => format!("/dev/{}", self.chip),
        };
        let mut chip = Chip::new(Path::new(&path)).map_err(|error| {
            let hint = "`ls /dev/gpiochip*` shows which there are; the group gpio, or root, may open them";
            io::Error::new(kind(&error), format!("GPIO chip {path}: {error}; {hint}"))
        })?;
        let mut pin = |name: &str, offset: u32, flags: LineRequestFlags, value: u8| {
            let line = chip.get_line(offset);
            let user = line.as_ref().ok().and_then(|line| line.info().ok());
            let user = user.and_then(|info| info.consumer().map(|user| format!(", in use by {user}")));
            line.and_then(|line| line.request(flags, value, "dialtone")).and_then(CdevPin::new).map_err(
                |error| {
                    let user = user.unwrap_or_default();
                    io::Error::new(kind(&error), format!("line {offset} of {path} ({name}): {error}{user}"))
                },
            )
        };
        let ring_mode = pin("RM", self.ring_mode, LineRequestFlags::OUTPUT, 0)?;
        let forward = pin("F/R", self.forward, LineRequestFlags::OUTPUT, 1)?;
        // Driving PD high destroys the module: open drain only ever pulls it low.
        let open_drain = LineRequestFlags::OUTPUT | LineRequestFlags::OPEN_DRAIN;
        let power_down = self.power_down.map(|offset| pin("PD", offset, open_drain, 1)).transpose()?;
        let hook = pin("SHK", self.hook, LineRequestFlags::INPUT, 0)?;
        Ok(shared(ring_mode, forward, hook, power_down))
    }

    /// Puts the module to rest after the router's end, whose lines the kernel may need a moment to let go.
    pub fn park(&self) {
        for _ in 0..20 {
            match self.open() {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    thread::sleep(Duration::from_millis(50))
                }
                // Taking the lines has set them; no chip, nothing to set.
                _ => return,
            }
        }
    }
}

fn shared<P: OutputPin, H>(
    ring_mode: P,
    forward: P,
    hook: H,
    power_down: Option<P>,
) -> (ModulePins<P, H>, Parking<P>) {
    let (ring_mode, forward) = (Shared::new(ring_mode), Shared::new(forward));
    let parking = Parking { ring_mode: ring_mode.another(), forward: forward.another() };
    (Pins { ring_mode, forward, hook, power_down }, parking)
}

impl<P> Shared<P> {
    fn new(pin: P) -> Self {
        Self(Rc::new(RefCell::new(pin)))
    }

    fn another(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: ErrorType> ErrorType for Shared<P> {
    type Error = P::Error;
}

impl<P: OutputPin> OutputPin for Shared<P> {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        self.0.borrow_mut().set_low()
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        self.0.borrow_mut().set_high()
    }
}

impl<P: InputPin> InputPin for Shared<P> {
    fn is_high(&mut self) -> Result<bool, Self::Error> {
        self.0.borrow_mut().is_high()
    }

    fn is_low(&mut self) -> Result<bool, Self::Error> {
        self.0.borrow_mut().is_low()
    }
}

impl<P: OutputPin> Drop for Parking<P> {
    fn drop(&mut self) {
        // Both are tried whatever becomes of the other; there is nobody left to tell.
        let _ = self.forward.set_high();
        let _ = self.ring_mode.set_low();
    }
}

fn kind(error: &linux_embedded_hal::gpio_cdev::Error) -> io::ErrorKind {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind();
        }
        source = error.source();
    }
    io::ErrorKind::Other
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};

    use super::*;

    #[test]
    fn a_missing_chip_is_named_and_the_error_says_where_to_look() {
        let wiring =
            Wiring { chip: "gpiochip99".into(), ring_mode: 1, forward: 2, hook: 3, power_down: None };
        let error = wiring.open().err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let text = error.to_string();
        assert!(text.contains("/dev/gpiochip99") && text.contains("ls /dev/gpiochip*"), "{text}");
    }

    #[test]
    fn a_router_that_ends_leaves_no_ringing_on_the_wires() {
        let mut ring_mode = Mock::new(&[Transaction::set(State::High), Transaction::set(State::Low)]);
        let mut forward = Mock::new(&[Transaction::set(State::Low), Transaction::set(State::High)]);
        let (mut pins, parking) = shared(ring_mode.clone(), forward.clone(), (), None);
        pins.ring_mode.set_high().unwrap();
        pins.forward.set_low().unwrap();
        drop(parking);
        ring_mode.done();
        forward.done();
    }
}
