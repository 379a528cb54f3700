//! Prints how calls sound: PESQ by codec and loss, beside the bars they must clear.

use clap::Parser;
use dialtone_audio_tests::{Network, pesq, speech, transmit};
use dialtone_media::codec::Codec;

/// Speech through two sessions, scored.
#[derive(Parser)]
struct Arguments {
    /// Clips of eight seconds.
    #[arg(long, default_value_t = 12)]
    clips: usize,
    /// Only this codec: pcmu, pcma, g722, opus, opus-fec.
    #[arg(long)]
    codec: Option<String>,
    /// Losses in percent.
    #[arg(long, value_delimiter = ',', default_value = "0,1,3,5,10,20")]
    loss: Vec<f64>,
    /// Most milliseconds of jitter.
    #[arg(long, default_value_t = 0)]
    jitter: u32,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let clips = speech::clips(arguments.clips)?;
    let cases = [
        ("pcmu", Codec::Pcmu, false),
        ("pcma", Codec::Pcma, false),
        ("g722", Codec::G722, false),
        ("opus", Codec::Opus, false),
        ("opus-fec", Codec::Opus, true),
    ];
    println!(
        "PESQ of {} clips, random loss of 20 ms packets, jitter to {} ms",
        clips.len(),
        arguments.jitter
    );
    println!("codec     loss %   PESQ  lowest  kbit/s  concealed %  delay ms  MOS by us");
    for (name, codec, redundancy) in cases {
        if arguments.codec.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        for loss in &arguments.loss {
            let (mut pairs, mut octets, mut concealed, mut delay, mut opinion) =
                (Vec::new(), 0, 0.0, 0.0, 0.0);
            for (number, clip) in clips.iter().enumerate() {
                let network = Network {
                    loss: loss / 100.0,
                    jitter: arguments.jitter,
                    seed: arguments.seed + number as u64,
                };
                let outcome = transmit(clip, 8000, codec, redundancy, network);
                octets += outcome.octets;
                if let Some(quality) = outcome.quality {
                    concealed += f64::from(quality.concealed) / 100.0;
                    delay += f64::from(quality.delay);
                    opinion += f64::from(quality.opinion) / 100.0;
                }
                pairs.push((clip.clone(), outcome.sound));
            }
            let scores = pesq::scores(8000, &pairs)?;
            let count = scores.len() as f64;
            let mean = scores.iter().sum::<f64>() / count;
            let lowest = scores.iter().copied().fold(f64::MAX, f64::min);
            let rate = octets as f64 * 8.0 / (count * 8.4 * 1000.0);
            println!(
                "{name:<9} {loss:>6}  {mean:>5.2}  {lowest:>6.2}  {rate:>6.1}  {:>11.1}  {:>8.1}  {:>9.2}",
                concealed / count,
                delay / count,
                opinion / count
            );
        }
    }
    Ok(())
}
