"""The viewer: feeds of sessions and rollouts, and the local web page that shows them."""
