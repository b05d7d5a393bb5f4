"""The data floor: sources in, one Dataset out; checks, preparation, splits."""
