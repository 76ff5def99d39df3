"""What a model is worth: metrics one frame ahead, events, laws, rollouts, drift."""
