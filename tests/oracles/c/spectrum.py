"""What is in sounds, by numpy's Fourier transform.

Reads lines "RATE FROM TO FILE": FILE holds 16-bit samples, FROM and TO are milliseconds. For each line it prints the levels in dBm0 of the
quietest and of the loudest 20 ms of that window, then the frequencies in hertz of the peaks at most 10 dB below the strongest.
"""

import sys

import numpy

POINTS = 1 << 16


def level(power):
    return 10 * numpy.log10(power * 2) + 3.14 if power > 1e-10 else -96.0


for line in sys.stdin:
    rate, start, end, path = line.split()
    rate = int(rate)
    start, end = (int(float(word) * rate / 1000) for word in (start, end))
    part = numpy.fromfile(path, dtype="<i2")[start:end].astype(float) / 32768
    step = rate // 50
    frames = [part[at : at + step] for at in range(0, max(len(part) - step, 1), step)]
    levels = [level(numpy.mean(frame**2)) for frame in frames]
    spectrum = numpy.abs(numpy.fft.rfft(part * numpy.hanning(len(part)), POINTS))
    middle = spectrum[1:-1]
    peaks = (middle > spectrum[:-2]) & (middle >= spectrum[2:]) & (middle > spectrum.max() * 10 ** (-10 / 20))
    hertz = (numpy.nonzero(peaks)[0] + 1) * rate / POINTS if max(levels) > -60 else []
    print(f"{min(levels):.1f} {max(levels):.1f}", *(f"{one:.1f}" for one in hertz))
