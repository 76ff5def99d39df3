"""Keys that several verbs print with --json, with spaces between."""

from wm_cli.metric_names import EVENT_METRICS, METRICS, ROLLOUT_METRICS

#: What figures say of the model that they are of.
MODEL_KEYS = "model arch parameters form trained_as sha256"
#: Events, damage of hits, and coverage.
FELT_KEYS = (
    f"events.* real predicted {' '.join(metric.key for metric in EVENT_METRICS)} within hit_damage hits mae mean "
    "coverage seen_from seen_to player_frames"
)
#: Metrics one frame ahead, and of rollouts by horizon.
METRIC_KEYS = " ".join([*(metric.key for metric in (*METRICS, *ROLLOUT_METRICS)), FELT_KEYS, "frames rollout.*"])
#: Laws, and what recorded games show for them.
LAW_KEYS = (
    "laws predicted real lawful broken.* first_broken unbroken recorded games known frames heights.* ids air ground"
)
BASELINE_KEYS = "baselines persistence constant_velocity constant_velocity_freeze"
DIFFERENCE_KEYS = "from to action_points action_change_points position_percent k10_percent k20_percent within"
#: Where a session stands.
SESSION_KEYS = "session number status on frame_number root players committed uncommitted commits_left"
PERCENTILE_KEYS = "p50 p95 p99"
PLAYED_KEYS = f"frames fps late_frames round_trip_ms {PERCENTILE_KEYS}"
#: What the check of a deployment, the audit of a log, and a dispute say.
VERIFICATION_KEYS = (
    "ok program compared_with model upgrade_authority model_authority frozen differing_sections checks name found "
    "expected"
)
AUDIT_KEYS = (
    "ok session status validator lamports missing_lamports frames uncommitted frames_per_second wrong_frames frame "
    "text chains chain root unproved commits data data_hash account_state_hash da_pointer da_pointer_hash"
)
DISPUTE_KEYS = (
    "session frame account verdict text sent what cu kept pins memory loads judges account_bytes rent transactions fees"
)
