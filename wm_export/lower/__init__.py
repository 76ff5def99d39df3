"""A QNet as kernel calls: what each op becomes, how long it takes, and the assembly of the kernels."""
