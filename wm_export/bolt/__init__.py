"""A composed world as programs of BOLT, MagicBlock's entity component system."""
