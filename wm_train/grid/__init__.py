"""Integer arithmetic of the networks: the tie rule, weights and tables on the grid. numpy only."""
