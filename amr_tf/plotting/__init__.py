"""Pictures from arrays."""
