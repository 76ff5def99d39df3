"""The kernels in sBPF assembly, a module for each family; text, compute units and formula come from one list."""
