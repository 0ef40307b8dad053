"""Pictures from arrays of images: grids, sprites, scatter plots in 2-D and 3-D, PNG bytes. NumPy and Pillow only."""

import io
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from amr_tf.data import pixels

LABEL_WIDTH, LABEL_SIZE = 190, 14  # least width of the column of labels, height of their letters, in pixels
FRAME_MILLISECONDS = 120
GAP = 2  # pixels between the images of a grid
BACKGROUND = 255
BLUE, ORANGE, RED = (31, 119, 180), (255, 127, 14), (214, 39, 40)
PURPLE, YELLOW = (68, 1, 84), (253, 231, 37)  # Matplotlib's viridis at its ends
GREY = (200, 200, 200)
TITLE_LINE = 20  # pixels a line of a title takes
AZIMUTH, ELEVATION = 0.6, 0.4  # radians: from where a scatter plot in 3-D is seen


def grid(rows: list[np.ndarray], gap: int = GAP) -> np.ndarray:
    """Rows of images, each [N, H, W, C] float in [-1, 1] -> one picture uint8 [H', W', 3], `gap` pixels around each."""
    stacked = pixels.to_uint8(np.stack(rows))
    if stacked.shape[-1] == 1:
        stacked = np.repeat(stacked, 3, axis=-1)
    count, columns, height, width, _ = stacked.shape
    canvas = np.full((count * (height + gap) + gap, columns * (width + gap) + gap, 3), BACKGROUND, np.uint8)
    for i in range(count):
        for j in range(columns):
            top, left = gap + i * (height + gap), gap + j * (width + gap)
            canvas[top : top + height, left : left + width] = stacked[i, j]
    return canvas


def stack(pictures: list[np.ndarray], gap: int) -> np.ndarray:
    """Pictures of one width below each other, `gap` rows of background between them: uint8 [H', W, 3]."""
    between = np.full((gap, *pictures[0].shape[1:]), BACKGROUND, np.uint8)
    parts = [part for picture in pictures for part in (between, picture)]
    return np.concatenate(parts[1:])


def beside(pictures: list[np.ndarray], gap: int) -> np.ndarray:
    """Pictures of one height side by side, `gap` columns of background between them: uint8 [H, W', 3]."""
    return stack([picture.swapaxes(0, 1) for picture in pictures], gap).swapaxes(0, 1)


def with_title(picture: np.ndarray, lines: list[str]) -> np.ndarray:
    """A picture uint8 [H, W, 3] with lines of text in the middle above it -> [H + TITLE_LINE * lines, W, 3]."""
    strip = Image.new("RGB", (picture.shape[1], TITLE_LINE * len(lines)), (BACKGROUND,) * 3)
    pen, font = ImageDraw.Draw(strip), ImageFont.load_default(LABEL_SIZE)
    for row, line in enumerate(lines):
        place = (picture.shape[1] / 2, (row + 0.5) * TITLE_LINE)
        pen.text(place, line, fill=(0, 0, 0), font=font, anchor="mm")
    return np.concatenate([np.asarray(strip), picture])


def with_labels(picture: np.ndarray, labels: list[str]) -> np.ndarray:
    """A picture of rows of equal height, uint8 [H, W, 3], with a text left of each -> [H, W', 3].

    The column of texts is LABEL_WIDTH wide, or more where one of them needs it.
    """
    height, font = picture.shape[0], ImageFont.load_default(LABEL_SIZE)
    widest = max(font.getlength(line) for label in labels for line in label.split("\n"))
    width = max(LABEL_WIDTH, math.ceil(widest) + 16)
    column = Image.new("RGB", (width, height), (BACKGROUND,) * 3)
    pen = ImageDraw.Draw(column)
    for row, label in enumerate(labels):
        pen.text((8, (row + 0.5) * height / len(labels)), label, fill=(0, 0, 0), font=font, anchor="lm")
    return np.concatenate([np.asarray(column), picture], axis=1)


def sprite(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] float in [-1, 1] row by row in a square without gaps -> picture uint8 [S H, S W, 3].

    TensorBoard's projector cuts its thumbnails out of such a picture. S is the root of N, rounded up; what is left over
    stays black.
    """
    side = math.ceil(math.sqrt(len(images)))
    square = np.full((side * side, *images.shape[1:]), -1.0, np.float32)
    square[: len(images)] = images
    return grid(list(square.reshape(side, side, *images.shape[1:])), gap=0)


def scatter(real: np.ndarray, mixed: np.ndarray, size: int = 400) -> np.ndarray:
    """Points [N, ..., 2] in about [-1, 1]: real ones blue, mixes orange over them -> picture uint8 [size, size, 3]."""
    canvas = np.full((size, size, 3), BACKGROUND, np.uint8)
    for points, colour in ((real, BLUE), (mixed, ORANGE)):
        place = np.round((np.reshape(points, (-1, 2)) / 1.2 + 1) / 2 * (size - 1)).astype(int)
        place = place[np.all((place >= 1) & (place < size - 1), axis=1)]
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                canvas[size - 1 - place[:, 1] + dy, place[:, 0] + dx] = colour
    return canvas


def scatter_3d(real: np.ndarray, mixed: np.ndarray, size: int = 360) -> np.ndarray:
    """Points [N, 3] and [M, 3] in a box around both, seen from above: real ones red, mixes blue, nearer ones over
    farther ones and stronger in colour -> picture uint8 [size, size, 3].
    """
    points = np.concatenate([real, mixed])
    low, high = points.min(axis=0), points.max(axis=0)
    corners = np.array([[(low, high)[corner >> axis & 1][axis] for axis in range(3)] for corner in range(8)])
    fine = 3 * size  # drawn large and made smaller, so that dots are round
    box = _seen(corners)[0]
    middle, reach = (box.min(axis=0) + box.max(axis=0)) / 2, max(float(np.ptp(box, axis=0).max()), 1e-9)
    canvas = Image.new("RGB", (fine, fine), (BACKGROUND,) * 3)
    pen = ImageDraw.Draw(canvas)
    place, near = _seen(points)
    at, ends = (fine / 2 + 0.95 * fine * (where - middle) / reach for where in (place, box))
    for one in range(8):
        for other in (one ^ 1, one ^ 2, one ^ 4):  # each edge twice
            pen.line([tuple(ends[one]), tuple(ends[other])], fill=GREY, width=3)
    strength = 0.35 + 0.65 * (near - near.min()) / max(np.ptp(near), 1e-9)
    colours = np.repeat([RED, BLUE], [len(real), len(mixed)], axis=0)
    shades = np.rint(strength[:, None] * colours + (1 - strength[:, None]) * BACKGROUND).astype(int)
    for index in np.argsort(near, kind="stable"):
        (x, y), radius = at[index], fine / 160
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=tuple(shades[index].tolist()))
    return np.asarray(canvas.resize((size, size), Image.Resampling.LANCZOS))


def _seen(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 3] as they are seen, to the right and downwards [N, 2], and how near they are [N]."""
    x, y, z = points.T
    right, away = x * np.cos(AZIMUTH) - y * np.sin(AZIMUTH), x * np.sin(AZIMUTH) + y * np.cos(AZIMUTH)
    up, near = (
        z * np.cos(ELEVATION) + away * np.sin(ELEVATION),
        z * np.sin(ELEVATION) - away * np.cos(ELEVATION),
    )
    return np.stack([right, -up], axis=1), near


def enlarge(picture: np.ndarray, factor: int) -> np.ndarray:
    """Every pixel as a square of factor x factor: [H, W, 3] -> [factor H, factor W, 3]."""
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def gif(frames: list[np.ndarray]) -> bytes:
    """Pictures uint8 [H, W, 3] of one size -> the bytes of a GIF that shows them again and again."""
    buffer = io.BytesIO()
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=FRAME_MILLISECONDS, loop=0)
    return buffer.getvalue()


def png(picture: np.ndarray) -> bytes:
    """uint8 [H, W, 3] -> the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()
