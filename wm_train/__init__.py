"""Replays in, a float checkpoint out whose values already lie on the integer grid."""
