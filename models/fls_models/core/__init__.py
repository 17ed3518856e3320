"""What every part of the package stands on: values, constants, progress, caches."""
