"""Export of trained models as SavedModels and in other formats, and a client for model servers."""
