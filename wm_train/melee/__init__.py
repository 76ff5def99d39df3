"""Super Smash Bros. Melee, all of it: fields, rules, stages, actions, replays, names and keys."""
