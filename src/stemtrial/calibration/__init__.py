"""Where the constants of the model come from; so far their prior, not yet a fit to trials."""
