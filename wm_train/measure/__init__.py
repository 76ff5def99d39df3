"""What a model is worth: metrics one frame ahead, rollouts, drift."""
