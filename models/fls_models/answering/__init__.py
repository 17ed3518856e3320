"""From a recording that was heard to an answer, its evidence, a summary."""
