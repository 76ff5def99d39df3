"""What a world is: fields, their encoding, and the step from one Frame to the next."""
