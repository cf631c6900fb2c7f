"""The 256 colors of masks."""

Color = tuple[int, int, int]


def _color(index: int) -> Color:
    """Pascal VOC's rule: bits 0, 3, 6 of the index are red, 1, 4, 7 green and 2, 5 blue, the highest bits first."""
    parts = [0, 0, 0]
    for place in range(8):
        parts[place % 3] |= (index >> place & 1) << (7 - place // 3)
    return parts[0], parts[1], parts[2]


PALETTE: tuple[Color, ...] = tuple(_color(index) for index in range(256))
"""Pascal VOC's palette: 256 distinct colors, the first 21 the familiar ones."""
