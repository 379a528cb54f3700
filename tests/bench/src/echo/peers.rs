//! Others' echo cancellers, compiled when the bench runs, driven over pipes.
//!
//! A peer reads pairs of samples (far, near) and writes what it returns; it reports the CPU time of its canceller alone. Speex is
//! Debian's library. OSLEC is kernel code: its source is taken from Debian's dahdi-source and compiled in user space with
//! stand-ins for three kernel headers.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A compiled canceller.
pub struct Peer {
    /// As the table calls it.
    pub name: &'static str,
    program: PathBuf,
}

/// Compiles those whose packages are there; a line for each that is missing.
pub fn compile(directory: &Path) -> Vec<Peer> {
    [speex(directory), oslec(directory)].into_iter().flatten().collect()
}

fn speex(directory: &Path) -> Option<Peer> {
    if !Path::new("/usr/include/speex/speex_echo.h").exists() {
        println!("Speex: skipped, libspeexdsp-dev is not installed");
        return None;
    }
    let text = DRIVER.replace("@INCLUDE@", "#include <speex/speex_echo.h>").replace("@NEW@", SPEEX_NEW);
    let text = text.replace("@FRAME@", "speex_echo_cancellation(state, near, far, result);");
    build(directory, "speex", "Speex MDF", &text, &["-lspeexdsp"])
}

fn oslec(directory: &Path) -> Option<Peer> {
    const SOURCE: &str = "/usr/src/dahdi.tar.bz2";
    if !Path::new(SOURCE).exists() {
        println!("OSLEC: skipped, dahdi-source is not installed");
        return None;
    }
    let unpacked = Command::new("tar")
        .args(["-xjf", SOURCE, "-C"])
        .arg(directory)
        .args(["--wildcards", "*/staging/echo/*"])
        .status();
    if !unpacked.is_ok_and(|status| status.success()) {
        println!("OSLEC: skipped, {SOURCE} cannot be unpacked (bzip2?)");
        return None;
    }
    std::fs::create_dir_all(directory.join("linux")).ok()?;
    std::fs::write(directory.join("linux/kernel.h"), STANDIN).ok()?;
    std::fs::write(directory.join("linux/module.h"), "").ok()?;
    std::fs::write(directory.join("linux/slab.h"), "").ok()?;
    let source = directory.join("modules/dahdi/drivers/staging/echo/echo.c");
    let include = format!("#include \"{}\"", source.display());
    let text = DRIVER.replace("@INCLUDE@", &include).replace("@NEW@", OSLEC_NEW);
    let text = text.replace(
        "@FRAME@",
        "for (int i = 0; i < FRAME; i++) result[i] = oslec_update(state, far[i], near[i]);",
    );
    let directory_option = format!("-I{}", directory.display());
    build(directory, "oslec", "OSLEC", &text, &["-w", &directory_option])
}

fn build(directory: &Path, file: &str, name: &'static str, text: &str, options: &[&str]) -> Option<Peer> {
    let (source, program) = (directory.join(format!("{file}_driver.c")), directory.join(file));
    std::fs::write(&source, text).ok()?;
    let output = Command::new("cc").args(["-O2", "-o"]).arg(&program).arg(&source).args(options).output();
    match output {
        Ok(output) if output.status.success() => Some(Peer { name, program }),
        Ok(output) => {
            println!("{name}: skipped, does not compile: {}", String::from_utf8_lossy(&output.stderr));
            None
        }
        Err(error) => {
            println!("{name}: skipped, no C compiler: {error}");
            None
        }
    }
}

impl Peer {
    /// What it returns of `near`, with `taps` samples of tail, and the microseconds it took per frame of 10 ms.
    pub fn run(&self, taps: usize, far: &[i16], near: &[i16]) -> Option<(Vec<i16>, f64)> {
        let mut child = Command::new(&self.program)
            .arg(taps.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let pairs: Vec<u8> = far
            .iter()
            .zip(near)
            .flat_map(|(far, near)| [far.to_le_bytes(), near.to_le_bytes()])
            .flatten()
            .collect();
        let mut input = child.stdin.take()?;
        let writer = std::thread::spawn(move || input.write_all(&pairs));
        let (mut bytes, mut report) = (Vec::new(), String::new());
        child.stdout.take()?.read_to_end(&mut bytes).ok()?;
        child.stderr.take()?.read_to_string(&mut report).ok()?;
        writer.join().ok()?.ok()?;
        child.wait().ok().filter(|status| status.success())?;
        let samples = bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        Some((samples, report.trim().parse().ok()?))
    }
}

const SPEEX_NEW: &str = "SpeexEchoState *state = speex_echo_state_init(FRAME, taps); int rate = 8000; \
    speex_echo_ctl(state, SPEEX_ECHO_SET_SAMPLING_RATE, &rate);";
const OSLEC_NEW: &str = "struct oslec_state *state = oslec_create(taps, ECHO_CAN_USE_ADAPTION);";

/// What OSLEC needs of the kernel.
const STANDIN: &str = "#include <stdlib.h>\n#include <string.h>\n#include <stdint.h>\n#include <stdio.h>\n\
    #define GFP_KERNEL 0\n#define kzalloc(size, flags) calloc(1, size)\n#define kcalloc(n, size, flags) calloc(n, size)\n\
    #define kfree free\n#define EXPORT_SYMBOL_GPL(x)\n#define MODULE_LICENSE(x)\n#define MODULE_AUTHOR(x)\n\
    #define MODULE_DESCRIPTION(x)\n#define MODULE_VERSION(x)\n\
    static inline int fls(int x) { return x ? 32 - __builtin_clz(x) : 0; }\n";

const DRIVER: &str = "#include <stdio.h>\n#include <stdlib.h>\n#include <stdint.h>\n#include <time.h>\n@INCLUDE@\n\
    #define FRAME 80\n\
    int main(int argc, char **argv) {\n\
      int taps = atoi(argv[1]); int16_t pairs[2 * FRAME], far[FRAME], near[FRAME], result[FRAME];\n\
      long frames = 0; double spent = 0; struct timespec a, b;\n\
      @NEW@\n\
      while (fread(pairs, 4, FRAME, stdin) == FRAME) {\n\
        for (int i = 0; i < FRAME; i++) { far[i] = pairs[2 * i]; near[i] = pairs[2 * i + 1]; }\n\
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);\n\
        @FRAME@\n\
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);\n\
        spent += (b.tv_sec - a.tv_sec) * 1e6 + (b.tv_nsec - a.tv_nsec) / 1e3; frames++;\n\
        fwrite(result, 2, FRAME, stdout);\n\
      }\n\
      fprintf(stderr, \"%f\\n\", spent / (frames ? frames : 1));\n\
      return 0;\n\
    }\n";
