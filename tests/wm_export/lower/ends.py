"""What kernels keep their results inside, by the end of their name; stated apart from what their text is made from."""

ENDS = {
    "relu": (0, 127),
    "code": (-127, 127),
    "fine": (-2047, 2047),
    "wide": (-(2**20 - 1), 2**20 - 1),
    "add": (-(2**20 - 1), 2**20 - 1),
}
