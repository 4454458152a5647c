"""Draw a short-axis cine MR slice of a made-up thorax, and the true outlines of the heart in it.

Shapes are ellipses in millimetres, with soft edges as partial volume makes them; the heart lies near the
middle of the image, left of the picture is the patient's right. Tissues are painted one over the other
from outside in. Nothing here knows about groups: `Body` holds the anatomy of a person.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

Floats = npt.NDArray[np.float64]

LABELS = {"RVBP": 1, "LVM": 2, "LVBP": 3}

# Brightness in balanced steady-state free precession, blood = 1.
_BLOOD, _MYOCARDIUM, _FAT, _MUSCLE, _LUNG, _LIVER, _BONE = 1.0, 0.36, 1.05, 0.32, 0.07, 0.5, 0.45
_EDGE_MM = 1.5  # width of an edge


@dataclass(frozen=True)
class Body:
    """The thorax of one person; lengths in mm."""

    lv_radius: float  # of the left ventricle's blood pool at end-diastole, at the base
    wall: float  # thickness of the myocardium at end-diastole
    rv_width: float  # how far the right ventricle reaches beyond the left
    rotation: float  # of the heart in its plane, radians
    squeeze: float  # ratio of the heart's axes
    ejection: float  # how far the blood pool's radius shrinks to end-systole, a fraction
    center: tuple[float, float]  # of the heart, from the middle of the image, (y, x)
    chest: tuple[float, float]  # half-axes of the thorax inside the chest wall, (y, x)
    chest_center: tuple[float, float]  # its center from the middle of the image, (y, x)
    fat: float  # thickness of the fat under the skin
    heart_fat: float  # thickness of the fat around the heart
    # Bright round vessels around the heart: distance, direction (radians) and radius of each.
    vessels: tuple[tuple[float, float, float], ...]
    liver: float  # how far the liver reaches up, from the middle of the image
    blood: float  # brightness of blood, and of all that is as bright
    myocardium: float  # brightness of the myocardium


@dataclass(frozen=True)
class Scan:
    """The quality of one examination."""

    noise: float  # standard deviation of the receiver's noise, blood = 1
    blur: float  # of the image, mm
    bias: float  # strength of the coils' uneven sensitivity
    jitter: float  # how far the annotator's outlines stray from the true ones, mm


def draw_slice(
    body: Body,
    scan: Scan,
    height: float,
    systole: bool,
    shape: tuple[int, int],
    spacing: float,
    random: np.random.Generator,
) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """Draw one slice.

    Args:
        body: the person.
        scan: the examination.
        height: where the slice lies, 0 at the base to 1 at the apex.
        systole: end-systole rather than end-diastole.
        shape: pixels (y, x).
        spacing: size of a pixel, mm.
        random: for what differs from slice to slice: noise and the annotator's hand.

    Returns:
        The image, float64 (y, x), blood near 1; and the mask, uint8 (y, x), labels as in `LABELS`.
    """
    y, x = ((np.arange(length) - (length - 1) / 2) * spacing for length in shape)
    grid = list(np.meshgrid(y, x, indexing="ij"))
    image = _thorax(body, grid)
    heart = _Heart(body, height, systole, grid)
    image = heart.paint(image, random)
    coil = _smooth_field(shape, 0.45, random)
    image = image * np.exp(scan.bias * coil)
    image = gaussian_filter(image, scan.blur / spacing)
    real, imaginary = random.normal(0.0, scan.noise, (2, *shape))
    return np.hypot(image + real, imaginary), heart.mask(scan.jitter, random)


def _thorax(body: Body, grid: list[Floats]) -> Floats:
    """Paint air, fat, chest wall, lungs, liver, spine, aorta and vessels."""
    cy, cx = body.chest_center
    ay, ax = body.chest
    wall = 11.0

    def ring(extra: float) -> Floats:
        return _ellipse(grid, (cy, cx), (ay + extra, ax + extra))

    image = _over(np.full(grid[0].shape, 0.02), ring(wall + body.fat), _FAT)
    image = _over(image, ring(wall), _MUSCLE)
    image = _over(image, ring(0.0), _LUNG)
    hy, hx = body.center
    # The mediastinum joins the heart to the spine; the liver fills what lies low on the left.
    image = _over(image, ring(0.0) * _ellipse(grid, (hy + 45.0, hx - 22.0), (75.0, 38.0)), _MUSCLE)
    image = _over(image, ring(0.0) * _ellipse(grid, (body.liver + 75.0, cx - 50.0), (75.0, 85.0)), _LIVER)
    image = _over(image, _ellipse(grid, (cy + ay - 18.0, hx - 25.0), (17.0, 20.0)), _BONE)
    image = _over(image, _ellipse(grid, (hy + 62.0, hx + 14.0), (11.0, 11.0)), body.blood)
    for distance, direction, radius in body.vessels:
        center = (hy + distance * np.sin(direction), hx + distance * np.cos(direction))
        image = _over(image, _ellipse(grid, center, (radius, 0.8 * radius)), body.blood)
    return image


class _Heart:
    """The heart in one slice: distances (in radii) from the outlines of its parts."""

    def __init__(self, body: Body, height: float, systole: bool, grid: list[Floats]) -> None:
        self.body, self.grid = body, grid
        taper = np.sqrt(max(1.0 - (0.92 * height) ** 2, 0.0))
        shrink = 1.0 - body.ejection if systole else 1.0
        self.inner = body.lv_radius * taper * shrink
        # The muscle keeps its area: the wall gains what the cavity loses.
        outer = body.lv_radius * taper + body.wall * (1.0 - 0.3 * height)
        muscle_area = outer**2 - (body.lv_radius * taper) ** 2
        self.outer = float(np.sqrt(self.inner**2 + muscle_area))
        self.right = body.rv_width * max(taper - 0.25, 0.0) / 0.75 * (0.8 if systole else 1.0)
        cos, sin = np.cos(body.rotation), np.sin(body.rotation)
        dy, dx = grid[0] - body.center[0], grid[1] - body.center[1]
        self.v, self.u = cos * dy - sin * dx, sin * dy + cos * dx

    def paint(self, image: Floats, random: np.random.Generator) -> Floats:
        """Paint the heart over the thorax."""
        body = self.body
        fat = body.heart_fat
        image = _over(image, _soft(self._right(4.0 + fat)), _FAT)
        image = _over(image, _soft(self._left(self.outer + fat)), _FAT)
        image = _over(image, _soft(self._right(4.0)), body.myocardium)
        image = _over(image, _soft(self._left(self.outer)), body.myocardium)
        image = _over(image, _soft(self._right(0.0)) * (1 - _soft(self._left(self.outer))), body.blood)
        image = _over(image, _soft(self._left(self.inner)), body.blood)
        for side in (-1.0, 1.0):  # the papillary muscles, which are outlined as blood
            angle = side * 1.1 + random.normal(0.0, 0.15)
            y, x = 0.62 * self.inner * np.sin(angle), 0.62 * self.inner * np.cos(angle)
            size = 0.16 * self.inner
            spot = (size - np.hypot(self.v - y, self.u - x)) if size > 1 else -np.inf
            image = _over(image, _soft(np.broadcast_to(spot, image.shape)), 0.6 * body.blood)
        return image

    def mask(self, jitter: float, random: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Outline the heart as an annotator would, with an unsteady hand."""
        stray = [jitter * _wobble(self.v, self.u, random) for _ in range(3)]
        mask = np.zeros(self.v.shape, dtype=np.uint8)
        mask[self._right(0.0) + stray[0] > 0] = LABELS["RVBP"]
        mask[self._left(self.outer) + stray[1] > 0] = LABELS["LVM"]
        mask[self._left(self.inner) + stray[2] > 0] = LABELS["LVBP"]
        return mask

    def _left(self, radius: float) -> Floats:
        """Return how deep each pixel lies in the left ventricle's outline of a radius, mm."""
        return np.asarray(radius - np.hypot(self.v * self.body.squeeze, self.u / self.body.squeeze))

    def _right(self, extra: float) -> Floats:
        """Return how deep each pixel lies in the right ventricle, widened by `extra`, mm."""
        if self.right <= 0.0:
            return np.full(self.v.shape, -100.0)
        half_y, half_x = 0.95 * self.outer + extra, 0.55 * self.outer + 0.6 * self.right + extra
        shift = self.outer + self.right - half_x + extra
        scaled = np.hypot(self.v / half_y, (self.u + shift) / half_x)
        return np.asarray((1.0 - scaled) * min(half_y, half_x))


def _ellipse(grid: list[Floats], center: tuple[float, float], half: tuple[float, float]) -> Floats:
    """Return how much of each pixel an ellipse covers, 0 to 1."""
    scaled = np.hypot((grid[0] - center[0]) / half[0], (grid[1] - center[1]) / half[1])
    return _soft((1.0 - scaled) * min(half))


def _soft(depth: Floats) -> Floats:
    """Return 1 inside an outline and 0 outside, over an edge of some width."""
    return np.clip(depth / _EDGE_MM + 0.5, 0.0, 1.0)


def _over(image: Floats, cover: Floats, brightness: float) -> Floats:
    return image + cover * (brightness - image)


def _smooth_field(shape: tuple[int, int], scale: float, random: np.random.Generator) -> Floats:
    """Return a smooth random field of standard deviation 1."""
    field = gaussian_filter(random.normal(size=shape), [scale * length for length in shape], mode="nearest")
    return np.asarray((field - field.mean()) / max(field.std(), 1e-9))


def _wobble(v: Floats, u: Floats, random: np.random.Generator) -> Floats:
    """Return how far an outline strays in each direction from the center, standard deviation about 1."""
    angle = np.arctan2(v, u)
    stray = np.full(v.shape, 0.6 * random.normal())
    for order in range(1, 5):
        a, b = random.normal(0.0, 0.6, size=2)
        stray += (a * np.cos(order * angle) + b * np.sin(order * angle)) / np.sqrt(order)
    return stray
