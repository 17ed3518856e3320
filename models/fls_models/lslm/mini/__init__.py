"""The parts of `mini` that hear and answer."""
