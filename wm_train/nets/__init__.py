"""The networks in torch: float, and as QAT computes them."""
