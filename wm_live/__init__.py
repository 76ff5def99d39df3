"""Clients of a deployed world: deployment, sessions on a rollup, audits and disputes, and a viewer."""
