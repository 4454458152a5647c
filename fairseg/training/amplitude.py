"""Appearance from another image: mix the low frequencies of two amplitude spectra, keep the phase.

Brightness and slow changes of contrast are mixed, the position of structures stays. Yang & Soatto (2020) swap
the amplitudes, Xu et al. (2021) and, in segmentation across sites, Liu et al. (2021, FedDG) mix them.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

EXTENT = 0.05  # cycles a pixel along each axis; a patch of 100 pixels has 5 such waves


def mix_amplitude(image: Floats, other: Floats, ratio: float) -> Floats:
    """Return an image with some of the appearance of another.

    Args:
        image: (C, y, x).
        other: of the same shape.
        ratio: 0 for the image itself, up to rounding; 1 for the other's low-frequency amplitudes.

    >>> image, other = np.full((1, 4, 4), 1.0, np.float32), np.full((1, 4, 4), 3.0, np.float32)
    >>> mix_amplitude(image, other, 0.25)[0, 0]
    array([1.5, 1.5, 1.5, 1.5], dtype=float32)
    """
    spectrum, other_spectrum = np.fft.fft2(image), np.fft.fft2(other)
    y, x = (np.abs(np.fft.fftfreq(length)) <= EXTENT for length in image.shape[1:])
    amplitude = np.abs(spectrum)
    mixed = np.where(y[:, None] & x, (1.0 - ratio) * amplitude + ratio * np.abs(other_spectrum), amplitude)
    return np.fft.ifft2(mixed * np.exp(1j * np.angle(spectrum))).real.astype(np.float32)
